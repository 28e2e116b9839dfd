"""Claims to the domain of the Kyma gateway, and users of the one that is given back."""

from dataclasses import replace
from typing import Any

import pytest

from clusters import kyma_gateway_claims
from clusters.gateway_hooks import API_GATEWAY
from components.ownership import OWNER_LABEL, Owner
from settings import ConfigError
from tests.unit.clusters.served import API_RULES, GATEWAYS, VIRTUAL_SERVICES
from tests.unit.config import read
from tests.unit.facts import ISTIOCTL_INGRESS
from tests.unit.fakes import FakeCluster, fake_cluster

OURS = "0a1b"
DOMAIN = {"gatewayMode": "selfSigned", "gatewayDomain": "kyma.example.com"}
CART = {"metadata": {"namespace": "shop", "name": "cart"}, "spec": {"gateway": "kyma-system/kyma-gateway"}}
MADE_FOR_CART = {
    "metadata": {
        "namespace": "shop",
        "name": "cart-x",
        "labels": {
            "apirule.gateway.kyma-project.io/name": "cart",
            "apirule.gateway.kyma-project.io/namespace": "shop",
        },
    },
    "spec": {"gateways": ["kyma-system/kyma-gateway"]},
}
HEALTHZ = {
    "metadata": {"namespace": "istio-system", "name": "healthz", "labels": {"kyma-project.io/module": "api-gateway"}},
    "spec": {"gateways": ["kyma-system/kyma-gateway"]},
}
BLOG = {"metadata": {"namespace": "web", "name": "blog"}, "spec": {"gateways": ["kyma-system/kyma-gateway"]}}


def served_by(
    name: str = "another/kyma-gateway", owner: str = "", *, port: int = 443, host: str = "*/*.kyma.example.com"
) -> dict[str, Any]:
    """Return a Gateway, NAMESPACE/NAME, at the ingress gateway."""
    namespace, _, own_name = name.partition("/")
    labels = {OWNER_LABEL: owner} if owner else {}
    servers = [{"port": {"number": port}, "hosts": [host]}]
    spec = {"selector": {"istio": "ingressgateway"}, "servers": servers}
    return {"metadata": {"namespace": namespace, "name": own_name, "labels": labels}, "spec": spec}


def of_domain(*gateways: dict[str, Any], domain: str = "kyma.example.com", **config: Any) -> tuple[str, ...]:
    gateway = replace(ISTIOCTL_INGRESS, addresses=("192.0.2.7",))
    cluster = fake_cluster({GATEWAYS: {"items": list(gateways)}})
    return kyma_gateway_claims.of_domain(read(**(DOMAIN | config)), cluster, gateway, domain, Owner(OURS))


@pytest.mark.parametrize(
    "claim",
    [
        served_by(),
        served_by(owner="another"),
        served_by("kyma-system/kyma-gateway", "another"),
        served_by(host="*.kyma.example.com"),
    ],
    ids=["users", "stacks", "taken-over", "without-namespace"],
)
def test_domain_that_another_gateway_serves_is_refused(claim: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        of_domain(claim)
    assert str(caught.value) == (
        f"kyma-mtls:gatewayDomain: cluster https://target serves *.kyma.example.com by Gateway "
        f"{claim['metadata']['namespace']}/kyma-gateway already; choose another domain, or remove it there"
    )


def test_claim_beside_the_stacks_own_gateway_is_a_warning() -> None:
    (line,) = of_domain(served_by(), served_by("mtls/kyma-gateway", OURS))
    assert "serves *.kyma.example.com by Gateway another/kyma-gateway already" in line
    assert of_domain(served_by("mtls/kyma-gateway", OURS)) == ()


def test_demo_domain_of_two_stacks_is_one() -> None:
    with pytest.raises(ConfigError, match=r"serves \*\.192-0-2-7\.sslip\.io by Gateway another/kyma-gateway already"):
        of_domain(served_by(host="*.192-0-2-7.sslip.io"), domain="", gatewayDomain="")


@pytest.mark.parametrize(
    "claim",
    [
        served_by(port=80),
        served_by(host="*.other.example.com"),
        served_by(host="a.kyma.example.com"),
        served_by("kyma-system/kyma-gateway"),
        {**served_by(), "spec": {**served_by()["spec"], "selector": {"istio": "other"}}},
    ],
    ids=["http", "other-domain", "one-host", "operators", "other-gateway"],
)
def test_gateway_that_takes_nothing_away_is_no_claim(claim: dict[str, Any]) -> None:
    assert of_domain(claim) == ()


def test_claims_are_not_looked_for_without_a_kyma_gateway() -> None:
    assert of_domain(served_by(), gatewayMode="none", gatewayDomain="") == ()


def given_back(owner: str | None = OURS, marked: str = OURS, **config: Any) -> tuple[str, ...]:
    module = {"metadata": {"labels": {OWNER_LABEL: marked}}, "spec": {"enableKymaGateway": False}}
    found = {
        API_GATEWAY: module,
        API_RULES: {"items": [CART]},
        VIRTUAL_SERVICES: {"items": [BLOG, MADE_FOR_CART, HEALTHZ]},
    }
    settings = read(platform="kyma", **config)
    return kyma_gateway_claims.of_given_back(settings, fake_cluster(found), Owner(owner))


@pytest.mark.parametrize("config", [{}, DOMAIN], ids=["no-gateway", "own-names"])
def test_users_of_a_gateway_that_is_given_back_are_named(config: dict[str, Any]) -> None:
    assert given_back(**config) == (
        "kyma-mtls:gatewayTakeOver: cluster https://target gives kyma-system/kyma-gateway back to Kyma's operator, "
        "with the operator's domain and certificate, while APIRule shop/cart, VirtualService web/blog use it; move "
        "them first, or tell who runs them",
    )


def test_gateway_that_is_kept_or_another_stacks_is_not_given_back() -> None:
    assert given_back(**DOMAIN, gatewayTakeOver="true") == ()
    assert given_back(marked="another") == ()
    assert given_back(owner=None) == ()


def test_user_who_may_not_read_the_module_has_nothing_to_give_back(monkeypatch: pytest.MonkeyPatch) -> None:
    def read_nothing(*_: object) -> None:
        raise ConfigError("403 Forbidden")

    monkeypatch.setattr(FakeCluster, "read", read_nothing)
    assert given_back() == ()
