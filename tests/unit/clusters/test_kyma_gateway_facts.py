"""Checks of a target for a Kyma gateway: its domain, its namespaces, and the gateway of Kyma's operator."""

import json
from typing import Any

import pytest

from clusters import kyma_gateway_facts
from clusters.facts import KymaGatewayFacts
from clusters.gateway_hooks import API_GATEWAY
from components.ownership import OWNER_LABEL, Owner
from settings import ConfigError
from tests.unit.config import read
from tests.unit.fakes import fake_cluster

GATEWAY = "/apis/networking.istio.io/v1/namespaces/kyma-system/gateways/kyma-gateway"
API_RULES = "/apis/gateway.kyma-project.io/v2/apirules"
VIRTUAL_SERVICES = "/apis/networking.istio.io/v1/virtualservices"
RULE_OF_ROUTE = "apirule.gateway.kyma-project.io/v1beta1"
SHOOT = "/api/v1/namespaces/kube-system/configmaps/shoot-info"
KYMA_SYSTEM = "/api/v1/namespaces/kyma-system"

OURS = "0a1b"
NOBODYS: dict[str, Any] = {"metadata": {}}
A_STACKS: dict[str, Any] = {"metadata": {"labels": {OWNER_LABEL: OURS}}}
MODULES: dict[str, Any] = {"metadata": {"labels": {"kyma-project.io/module": "api-gateway"}}}
ENABLED = {"metadata": {}, "spec": {"enableKymaGateway": True}}
CART = {"metadata": {"namespace": "shop", "name": "cart"}, "spec": {"gateway": "kyma-system/kyma-gateway"}}
HEALTHZ = {
    "metadata": {"namespace": "istio-system", "name": "healthz", "labels": {"kyma-project.io/module": "api-gateway"}},
    "spec": {"gateways": ["kyma-system/kyma-gateway"]},
}
TAKING_OVER = {"gatewayDomain": "kyma.example.com", "gatewayTakeOver": "true"}


def find(found: dict[str, Any], address: str = "", owner: str | None = OURS, **config: Any) -> KymaGatewayFacts | None:
    """Return the facts of a cluster that has nothing but `found` and Gardener's extensions."""
    groups = {"/apis": {"groups": [{"name": "cert.gardener.cloud"}, {"name": "dns.gardener.cloud"}]}}
    settings = read(**({"gatewayMode": "selfSigned"} | config))
    return kyma_gateway_facts.find(settings, fake_cluster(groups | found), address, Owner(owner))


def test_facts_are_none_without_a_gateway() -> None:
    assert find({}, gatewayMode="none") is None


def test_domain_comes_from_the_config_the_shoot_or_the_address() -> None:
    shoot = {SHOOT: {"data": {"domain": "shoot.example.com"}}}
    assert find({}, gatewayDomain="kyma.example.com") == KymaGatewayFacts("kyma.example.com")
    assert find(shoot, "192.0.2.7", gatewayMode="gardener") == KymaGatewayFacts("shoot.example.com")
    assert find({}, "192.0.2.7") == KymaGatewayFacts(""), "the component derives it"


@pytest.mark.parametrize("bare", [NOBODYS, {**NOBODYS, "spec": None}, {**NOBODYS, "spec": {}}])
def test_default_gateway_that_serves_nothing_is_no_problem(bare: dict[str, Any]) -> None:
    assert find({GATEWAY: bare}, gatewayDomain="kyma.example.com") == KymaGatewayFacts("kyma.example.com")


@pytest.mark.parametrize(
    ("found", "config", "message"),
    [
        (
            {},
            {"gatewayMode": "gardener", "address": "192.0.2.7"},
            "gatewayDomain: cluster https://target has no domain in ConfigMap",
        ),
        (
            {},
            {"gatewayMode": "gardener", "gatewayDomain": "kyma.example.com"},
            "target.ingressGateway: cluster https://target has no address yet for a DNS entry",
        ),
        (
            {},
            {},
            "gatewayDomain: cluster https://target reaches its ingress gateway by no address; set a domain",
        ),
        (
            {},
            {"address": "lb.example.com"},
            "gatewayDomain: cluster https://target reaches its ingress gateway by lb.example.com; set a domain",
        ),
        (
            {GATEWAY: {**NOBODYS, "spec": {"servers": [{"hosts": ["*.kyma.example.com"]}]}}},
            {"gatewayDomain": "kyma.example.com"},
            "gatewayDomain: cluster https://target serves *.kyma.example.com by kyma-system/kyma-gateway already",
        ),
        (
            {"/apis": {"groups": [{"name": "dns.gardener.cloud"}]}},
            {"gatewayMode": "gardener"},
            "target.kubeconfig: cluster https://target has no Gardener certificate management; set another gatewayMode",
        ),
        (
            {API_GATEWAY: ENABLED, API_RULES: {"items": [CART]}, VIRTUAL_SERVICES: {"items": []}},
            {"gatewayDomain": "kyma.example.com", "gatewayTakeOver": "true"},
            "gatewayTakeOver: cluster https://target uses kyma-system/kyma-gateway in APIRule shop/cart",
        ),
        (
            {API_GATEWAY: A_STACKS, GATEWAY: A_STACKS, SHOOT: {"data": {"domain": "shoot.example.com"}}},
            {"gatewayMode": "gardener", "address": "192.0.2.7"},
            "gatewayDomain: cluster https://target serves *.shoot.example.com by kyma-system/kyma-gateway once it is",
        ),
    ],
)
def test_problems_of_the_target_are_refused(found: dict[str, Any], config: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        find(found, **config)
    assert str(caught.value).startswith(f"kyma-mtls:{message}")


def user(kind: str, name: str, labels: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    """Return a cluster whose operator makes the default gateway, which this object refers to."""
    item = {"metadata": {"namespace": "shop", "name": name, "labels": labels or {}}, "spec": spec}
    return {API_GATEWAY: ENABLED, {"rule": API_RULES, "route": VIRTUAL_SERVICES}[kind]: {"items": [item]}}


def made_as_v1beta1(gateway: str) -> dict[str, Any]:
    """Return an APIRule as a module that cannot convert its gateway serves it."""
    found = user("rule", "cart")
    written = json.dumps({"gateway": gateway, "host": "cart"})
    found[API_RULES]["items"][0]["metadata"]["annotations"] = {
        "gateway.kyma-project.io/original-version": "v1beta1",
        "gateway.kyma-project.io/v1beta1-spec": written,
    }
    return found


@pytest.mark.parametrize(
    ("found", "users"),
    [
        (made_as_v1beta1("kyma-gateway.kyma-system.svc.cluster.local"), "APIRule shop/cart"),
        (made_as_v1beta1("kyma-system/kyma-gateway"), "APIRule shop/cart"),
        (made_as_v1beta1("other-gateway.kyma-system.svc.cluster.local"), ""),
        (user("rule", "cart", gateway="kyma-system/kyma-gateway"), "APIRule shop/cart"),
        (user("route", "cart", gateways=["mesh", "kyma-system/kyma-gateway"]), "VirtualService shop/cart"),
        (user("route", "cart", gateways=["kyma-gateway.kyma-system.svc.cluster.local"]), "VirtualService shop/cart"),
        (user("route", "cart", gateways=["kyma-gateway.kyma-system"]), "VirtualService shop/cart"),
        (user("route", "cart", gateways=["kyma-gateway", "shop/kyma-gateway", "./kyma-gateway"]), ""),
        (user("route", "cart", {RULE_OF_ROUTE: "cart.shop"}, gateways=["kyma-system/kyma-gateway"]), ""),
    ],
    ids=[
        "v1beta1-service-name",
        "v1beta1",
        "v1beta1-other",
        "v2",
        "route",
        "service-name",
        "short-service-name",
        "other-namespace",
        "named-by-its-rule",
    ],
)
def test_users_of_the_default_gateway_are_found_by_all_its_names(found: dict[str, Any], users: str) -> None:
    if not users:
        assert find(found, **TAKING_OVER)
        return
    with pytest.raises(ConfigError) as caught:
        find(found, **TAKING_OVER)
    assert f"uses kyma-system/kyma-gateway in {users}; move them first" in str(caught.value)


@pytest.mark.parametrize("owner", ["other", None])
def test_gateway_that_another_stack_took_over_is_refused(owner: str | None) -> None:
    with pytest.raises(ConfigError) as caught:
        find({API_GATEWAY: A_STACKS}, owner=owner, **TAKING_OVER)
    assert str(caught.value) == (
        "kyma-mtls:gatewayTakeOver: cluster https://target has its default gateway taken over by another stack "
        "already; set this to false here, or release it there first"
    )


def test_namespaces_that_are_missing_are_the_stacks_own_and_stay_so() -> None:
    def namespaces(**found: Any) -> tuple[str, ...]:
        paths = {f"/api/v1/namespaces/kyma-{name}": value for name, value in found.items()}
        site = find(paths, platform="istio", gatewayLegacyInstaller="true", **TAKING_OVER)
        return site.own_namespaces if site else ()

    assert namespaces() == ("kyma-system", "kyma-installer")
    assert namespaces(system=NOBODYS) == ("kyma-installer",), "Kyma's own is used, and stays"
    assert namespaces(system=A_STACKS, installer=NOBODYS) == ("kyma-system",), "else the next `pulumi up` deleted it"


def test_installer_namespace_is_made_for_its_overrides_only() -> None:
    assert find({}, platform="istio", **TAKING_OVER) == KymaGatewayFacts("kyma.example.com", ("kyma-system",))


def test_operator_releases_the_gateway_that_it_has() -> None:
    def operator(found: dict[str, Any]) -> bool:
        site = find({KYMA_SYSTEM: NOBODYS, **found}, **TAKING_OVER)
        assert site
        return site.operator

    used_by_itself = {API_RULES: {"items": []}, VIRTUAL_SERVICES: {"items": [HEALTHZ]}}
    assert operator({API_GATEWAY: ENABLED, GATEWAY: NOBODYS, **used_by_itself}), "its own gateway is in nobody's way"
    assert operator({API_GATEWAY: {**A_STACKS, "spec": {"enableKymaGateway": False}}, GATEWAY: A_STACKS})
    site = find({API_GATEWAY: ENABLED, GATEWAY: MODULES, **used_by_itself}, **TAKING_OVER)
    assert site
    assert site.to_be_released == ("Gateway kyma-system/kyma-gateway",), "what else is in the way fails the preview"
    assert not operator({API_GATEWAY: NOBODYS}), "it has none: there is nothing to give back"
    assert not operator({})
