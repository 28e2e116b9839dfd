"""The whole program: which parts a stack's config gives, in which cluster, and what the outputs say of them."""

import asyncio
import runpy
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pulumi
import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID
from pulumi.runtime import rpc

import clusters
from clusters import Clusters, claims, kyma_gateway_facts, rights
from clusters.facts import ClusterFacts
from clusters.gateway_hooks import API_GATEWAY
from components.lifecycle import Lifecycle
from components.ownership import OWNER_LABEL, RESOURCE_ANNOTATION
from deployment import kyma_gateway, placement
from deployment.identities import identities
from mtls_policies import POLICIES
from mtls_policies.policy import Resource, ResourcePolicy
from settings import ConfigError, Settings
from tests.unit.config import engine_config, production, read
from tests.unit.conftest import Deploy, Outputs, Recorder
from tests.unit.facts import CLIENT_OFFER, TARGET_OFFER
from tests.unit.fakes import fake_cluster, kube_system
from tests.unit.pki import issue

PROGRAM = Path(__file__).parents[3] / "__main__.py"
ACME = issue("acme")
PARTNER = issue("partner")
BILLING = issue("billing", PARTNER, hosts=("billing.example.com",), usage=ExtendedKeyUsageOID.CLIENT_AUTH)

HTTPBIN: dict[str, Any] = {"domain": "httpbin.example.com"}
ORDERS = {"domain": "orders.example.com", "service": {"namespace": "shop", "name": "orders", "port": 8080}}
API = {"domain": "api.partner.example", "external": {"certificateAuthority": PARTNER.pem}}
A_PARTNER = {"certificateAuthority": ACME.pem, "identity": "spiffe://acme.example/client"}
TARGET = {"kubeconfig": "target.yaml"}
CALLER = {"kubeconfig": "client.yaml"}
ANOTHER = {"kubeconfig": "another.yaml"}
GARDENER = {"/apis": {"groups": [{"name": "cert.gardener.cloud"}, {"name": "dns.gardener.cloud"}]}}
KYMA = {API_GATEWAY: {"metadata": {}, "spec": {"enableKymaGateway": True}}}

Stack = Callable[..., Recorder]


@pytest.fixture
def stack(deploy: Deploy, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """Run the program with a config against empty clusters; return the stack's outputs.

    made: outputs of resources, by kind
    """

    def run(*, made: Outputs | None = None, **config: Any) -> Recorder:
        texts = engine_config({"platform": "istio", "namespace": "mtls"} | config)
        outputs: dict[str, Any] = {}
        programs: list[Callable[[], Awaitable[None]]] = []
        monkeypatch.setattr(pulumi.runtime, "get_config_env", lambda: texts)
        monkeypatch.setattr(pulumi.runtime, "is_config_secret", lambda _: True)
        monkeypatch.setattr(pulumi, "export", outputs.__setitem__)
        monkeypatch.setattr(pulumi, "run", programs.append)
        monkeypatch.setattr(clusters, "check", reached)
        monkeypatch.setattr(placement, "missing", nothing)

        async def program() -> dict[str, Any]:
            runpy.run_path(str(PROGRAM), run_name="__main__")
            await programs[0]()
            return outputs

        return deploy(program, outputs=made)

    return run


async def nothing(_: object) -> list[str]:
    """Return nothing that is missing."""
    return []


def reached(settings: Settings, owner: str | None = "owner-hex") -> Clusters:
    """Every cluster of the settings, as if it had answered."""
    assert owner == "owner-hex", "without its mark, the stack takes its own objects for those of another"
    target = fake_cluster(kube_system("uid-target") | GARDENER | KYMA) if settings.target else None
    offers: dict[str, ClusterFacts] = {}
    if target:
        offers["target"] = replace(TARGET_OFFER, site=kyma_gateway_facts.find(settings, target, "192.0.2.7", owner))
    return Clusters(
        target,
        {name: fake_cluster(kube_system(f"uid-{name}"), f"clients.{name}") for name in settings.own_clients},
        offers | {f"clients.{name}": CLIENT_OFFER for name in settings.own_clients},
    )


def components(made: Recorder) -> list[str]:
    """Names of the stack's main parts."""
    kinds = ("MtlsTarget", "MtlsHost", "EgressClient", "EgressRoute", "PartnerCredential")
    return [name for name in made.names() if name.startswith(kinds)]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (
            {"target": TARGET, "clients": {"caller": CALLER}, "hosts": {"httpbin": HTTPBIN}},
            ["MtlsTarget target", "MtlsHost target-httpbin", "EgressClient client-caller", "EgressRoute httpbin"],
        ),
        (
            {
                "target": TARGET,
                "clients": {"a": CALLER, "b": ANOTHER},
                "hosts": {"orders": {**ORDERS, "clients": ["a", "b"]}, "httpbin": {**HTTPBIN, "clients": ["b"]}},
            },
            [
                "MtlsTarget target",
                "MtlsHost target-orders",
                "MtlsHost target-httpbin",
                "EgressClient client-a",
                "EgressRoute orders",
                "EgressClient client-b",
                "EgressRoute orders",
                "EgressRoute httpbin",
            ],
        ),
        (
            {"target": TARGET, "clients": {"acme": A_PARTNER}, "hosts": {"httpbin": HTTPBIN}},
            ["MtlsTarget target", "MtlsHost target-httpbin"],
        ),
        (
            {"target": TARGET, "clients": {"a": CALLER}, "hosts": {"httpbin": {**HTTPBIN, "clients": []}}},
            ["MtlsTarget target", "MtlsHost target-httpbin", "EgressClient client-a"],
        ),
        (
            {"clients": {"billing": CALLER}, "hosts": {"api": API}},
            ["EgressClient client-billing", "PartnerCredential api"],
        ),
        (
            {
                "clients": {"billing": CALLER},
                "hosts": {
                    "api": {
                        **API,
                        "external": {
                            **API["external"],  # type: ignore[dict-item]
                            "credentials": {"billing": {"certificate": BILLING.pem, "key": BILLING.key_pem}},
                        },
                    }
                },
            },
            ["EgressClient client-billing", "PartnerCredential api", "EgressRoute api"],
        ),
    ],
    ids=["demo", "hosts-and-clients", "partners-client-only", "revoked-client", "unsigned", "partners-host"],
)
def test_config_gives_its_parts_and_no_other(stack: Stack, config: dict[str, Any], expected: list[str]) -> None:
    def plain(name: str) -> str:
        """Without the client's name, which begins that of a route."""
        kind, _, rest = name.partition(" ")
        return f"{kind} {rest.split('.')[-1]}" if kind in {"EgressRoute", "PartnerCredential"} else name

    assert sorted(plain(name) for name in components(stack(**config))) == sorted(expected)


def test_production_example_gives_its_parts(stack: Stack) -> None:
    made = stack(**production())
    assert components(made) == [
        "EgressClient client-billing",
        "EgressClient client-warehouse",
        "EgressRoute client-billing.stock",
        "EgressRoute client-warehouse.orders",
        "EgressRoute client-warehouse.stock",
        "MtlsHost target-orders",
        "MtlsHost target-stock",
        "MtlsTarget target",
        "PartnerCredential client-billing.payments",
    ]
    assert made.result["signingRequests"].keys() == {"payments"}, "its route waits for the partner's answer"
    assert "APIRule" in made.kinds()
    assert not {"DemoServer", "DemoCaller"} & made.kinds()


def test_routes_of_clients_with_similar_names_are_kept_apart(stack: Stack) -> None:
    names = {"clients": {"a": CALLER, "a-b": ANOTHER}, "target": TARGET}
    hosts = {"c": {**HTTPBIN, "clients": ["a-b"]}, "b-c": {**ORDERS, "clients": ["a"]}}
    made = components(stack(**names, hosts=hosts))
    assert len(made) == len(set(made)), "the engine refuses two resources of one name"


def test_demo_is_deployed_only_where_a_host_or_a_caller_needs_it(stack: Stack) -> None:
    demo = stack(target=TARGET, clients={"caller": CALLER}, hosts={"httpbin": HTTPBIN, "orders": ORDERS})
    assert {"DemoServer target-httpbin", "DemoCaller client-caller-curl"} <= set(demo.names())
    callers = {**CALLER, "callers": ["mtls/curl"]}
    own = stack(target=TARGET, clients={"caller": callers}, hosts={"orders": ORDERS})
    assert not {"DemoServer", "DemoCaller"} & own.kinds()


@pytest.mark.parametrize(
    ("policy", "namespaces"), [("own", {"mtls"}), ("callers", {"mtls", "logistics", "invoices"}), ("none", set())]
)
def test_network_policies_close_the_namespaces_that_the_client_says(
    stack: Stack, policy: str, namespaces: set[str]
) -> None:
    callers = ["logistics/dispatcher", "logistics/tracker", "invoices"]
    client = {**CALLER, "callers": callers, "networkPolicy": policy}
    made = stack(target=TARGET, clients={"caller": client}, hosts={"orders": ORDERS}).objects()
    assert {o["metadata"]["namespace"] for o in made if o["kind"] == "NetworkPolicy"} == namespaces


def test_callers_in_the_stacks_own_namespace_are_named_once(stack: Stack) -> None:
    client = {**CALLER, "callers": ["mtls/own", "logistics"]}
    made = stack(target=TARGET, clients={"caller": client}, hosts={"orders": ORDERS}).objects()
    (entry,) = (o["spec"] for o in made if o["kind"] == "ServiceEntry")
    assert entry["exportTo"] == [".", "istio-system", "logistics"], "Istio refuses what . names already"


def test_everything_is_put_into_the_cluster_that_the_config_names_under_its_rule(stack: Stack) -> None:
    hosts = {"orders": {**ORDERS, "clients": ["a", "b"]}}
    made = stack(target=TARGET, clients={"a": CALLER, "b": ANOTHER}, hosts=hosts)
    for key, cluster, uid in (
        ("Secret target-orders-certs.1", "target", "uid-target"),
        ("Secret client-a-credential.1", "clients.a", "uid-a"),
        ("Secret client-b-credential.1", "clients.b", "uid-b"),
    ):
        assert f"::{cluster}-{uid}::" in made.requests[key].provider, "another cluster is another provider"
        assert list(made.requests[key].hooks.before_create) == [f"{cluster}-namespace-has-no-other"]
    assert all(each["metadata"]["labels"][OWNER_LABEL] == "owner-hex" for each in made.objects())
    for each in made.objects():
        kind, metadata = each["kind"], each["metadata"]
        assert made.one(kind, metadata["annotations"][RESOURCE_ANNOTATION])["metadata"]["name"] == metadata["name"]


@pytest.mark.parametrize("platform", ["kyma", "istio"])
def test_hosts_own_what_is_called_after_them(stack: Stack, platform: str) -> None:
    made = stack(platform=platform, target=TARGET, clients={"caller": CALLER}, hosts={"orders": ORDERS}).objects()
    kinds = {"APIRule", "Gateway", "ServiceEntry", "VirtualService"}
    called = [(o["kind"], o["metadata"]["name"]) for o in made if o["kind"] in kinds]
    assert len(called) == 5, called
    assert all(claims.is_named_for("orders", kind, name) for kind, name in called), called
    assert not any(claims.is_named_for("order", kind, name) for kind, name in called)


def test_identities_are_the_stacks_own_or_those_that_partners_name(stack: Stack) -> None:
    clients = {"warehouse": CALLER, "acme": A_PARTNER}
    settings = read(target=TARGET, clients=clients, hosts={"orders": {**ORDERS, "clients": ["acme"]}})
    assert identities(settings, "prod") == {
        "warehouse": "spiffe://kyma-mtls/prod/client/warehouse",
        "acme": "spiffe://acme.example/client",
    }
    made = stack(target=TARGET, clients=clients, hosts={"orders": {**ORDERS, "clients": ["acme", "warehouse"]}})
    assert made.one("CertRequest", "certificates-client-warehouse.1")["uris"] == [
        "spiffe://kyma-mtls/test/client/warehouse"
    ]
    admission = made.policy("target-orders-admission")["spec"]["rules"][0]
    (source,) = (each["source"] for each in admission["from"])
    assert source["notPrincipals"] == ["acme.example/client", "kyma-mtls/test/client/warehouse"]


@pytest.mark.parametrize(
    ("admitted", "bundle"),
    [
        (["own"], "CA"),
        (["acme"], ACME.pem),
        (["own", "acme"], f"CA{ACME.pem}"),
        (["acme", "branch"], ACME.pem),
        ([], "CA"),
    ],
    ids=["own", "partner", "both", "partners-of-one-ca", "nobody"],
)
def test_host_looks_at_the_certificates_of_those_it_admits_only(stack: Stack, admitted: list[str], bundle: str) -> None:
    branch = {**A_PARTNER, "identity": "dns:branch.acme.example"}
    clients = {"own": CALLER, "acme": A_PARTNER, "branch": branch}
    made = stack(target=TARGET, clients=clients, hosts={"orders": {**ORDERS, "clients": admitted}})
    pem = made.pem("Secret", "target-orders-certs.1")["cacert"]
    assert pem.replace("certificates-ca.1-certPem", "CA") == bundle


def test_change_of_trust_makes_other_secrets_which_both_gateways_name(stack: Stack) -> None:
    names = set()
    for generation, trusted in (("1", []), ("1", ["2"]), ("2", ["1"]), ("2", [])):
        config = {"generation": generation, "trustedGenerations": trusted}
        made = stack(target=TARGET, clients={"caller": CALLER}, hosts={"httpbin": ORDERS}, **config)
        generations = ".".join((generation, *trusted))
        bundle = "".join(f"certificates-ca.{each}-certPem" for each in (generation, *trusted))
        server = made.one("Secret", f"target-httpbin-certs.{generations}")["metadata"]["name"]
        client = made.one("Secret", f"client-caller-credential.{generations}")["metadata"]["name"]
        (gateway,) = made.one("Gateway", "target-httpbin-gateway")["spec"]["servers"]
        rule = made.one("DestinationRule", "client-caller.httpbin-originate-mtls")["spec"]["trafficPolicy"]
        assert gateway["tls"]["credentialName"] == server
        assert rule["portLevelSettings"][0]["tls"]["credentialName"] == client
        assert made.pem("Secret", f"target-httpbin-certs.{generations}")["cacert"] == bundle
        assert made.pem("Secret", f"client-caller-credential.{generations}")["ca.crt"] == bundle
        assert made.result["caCertificate"] == bundle, "whoever calls the hosts has to trust the same"
        names |= {server, client}
    assert len(names) == 8, "no Secret is changed while it serves"


def test_outputs_tell_of_hosts_clients_and_signing_requests(stack: Stack) -> None:
    clients = {"own": {**CALLER, "domain": "own.example.com"}, "acme": A_PARTNER}
    hosts = {"orders": {**ORDERS, "clients": ["own", "acme"]}, "api": {**API, "clients": ["own"]}}
    own, acme = "spiffe://kyma-mtls/test/client/own", "spiffe://acme.example/client"
    assert stack(target=TARGET, clients=clients, hosts=hosts).result == {
        "version": "1.0",
        "caCertificate": "certificates-ca.1-certPem",
        "caExpiry": "certificates-ca.1-validityEndTime",
        "target": {
            "namespace": "mtls",
            "ingressGateway": "istio-system/istio-ingressgateway",
            "address": "192.0.2.7",
            "addresses": ["192.0.2.7"],
        },
        "hosts": {
            "orders": {
                "domain": "orders.example.com",
                "external": False,
                "clients": {"own": own, "acme": acme},
                "gateway": "mtls/kyma-mtls-gateway-orders",
                "secret": "kyma-mtls-certs-mtls-orders.1",
                "expiry": "certificates-host-orders.1-validityEndTime",
            },
            "api": {"domain": "api.partner.example", "external": True, "clients": {"own": own}},
        },
        "clients": {
            "own": {
                "identity": own,
                "hosts": ["orders", "api"],
                "namespace": "mtls",
                "callers": ["mtls/curl"],
                "egressGateway": "istio-system/istio-egressgateway",
                "accessLog": True,
                "secret": "client-credential-mtls.1",
                "subject": "CN=own.example.com,O=kyma-mtls",
                "expiry": "certificates-client-own.1-validityEndTime",
            },
            "acme": {"identity": acme, "hosts": ["orders"]},
        },
        "signingRequests": {"api": {"own": "client-own.api-request-certRequestPem"}},
    }


def test_outputs_of_a_stack_without_a_target_have_none(stack: Stack) -> None:
    outputs = stack(clients={"billing": CALLER}, hosts={"api": API}).result
    assert "target" not in outputs
    assert outputs["hosts"] == {
        "api": {
            "domain": "api.partner.example",
            "external": True,
            "clients": {"billing": "spiffe://kyma-mtls/test/client/billing"},
        }
    }


def test_partners_host_is_called_at_its_port_with_its_own_credential(stack: Stack) -> None:
    given = {"certificate": BILLING.pem, "key": BILLING.key_pem}
    external = {"certificateAuthority": PARTNER.pem, "port": 8443, "credentials": {"billing": given}}
    made = stack(clients={"billing": CALLER}, hosts={"api": {"domain": "api.partner.example", "external": external}})
    (rule,) = (o["spec"] for o in made.objects() if o["metadata"]["name"] == "originate-mtls-for-mtls-api")
    (port,) = rule["trafficPolicy"]["portLevelSettings"]
    assert port["port"] == {"number": 8443}
    assert port["tls"]["credentialName"] == "client-credential-mtls-api"
    assert made.result["signingRequests"] == {}


def test_facts_are_what_cannot_change_without_an_interruption() -> None:
    settings = read(platform="istio")
    facts = {
        "platform": "istio",
        "namespace": "",
        "target": "uid-target",
        "target.ingressGateway": "istio-system/istio-ingressgateway",
        "clients.caller": "uid-caller",
        "clients.caller.egressGateway": "istio-system/istio-egressgateway",
    }
    assert placement.facts(settings, reached(settings)) == facts
    gateway = read(gatewayMode="selfSigned", gatewayTakeOver="true")
    mode = {"gatewayMode": "own or selfSigned"}
    assert placement.facts(gateway, reached(gateway)).items() >= {"gatewayTakeOver": "true", **mode}.items()
    gardener = read(gatewayMode="gardener", gatewayDomain="kyma.example.com")
    assert placement.facts(gardener, reached(gardener)).items() >= {"gatewayMode": "gardener"}.items()


def test_what_every_cluster_lacks_is_missing() -> None:
    class Losing(Lifecycle):
        """Has lost what it is made with, or cannot tell."""

        def __init__(self, *lost: str, error: str = "") -> None:
            self.lost, self.error = list(lost), error

        async def missing(self) -> list[str]:
            if self.error:
                raise ConfigError(self.error)
            return self.lost

    def missing(*lifecycles: Lifecycle) -> list[str]:
        return asyncio.run(placement.missing(lifecycles))

    assert missing(Losing(), Losing()) == []
    *lost, remedy = missing(Losing("no Secret"), Losing("no Gateway"))
    assert lost == ["no Secret", "no Gateway"]
    assert remedy.startswith("`pulumi up --refresh` makes anew")
    assert missing(Losing(error="no answer"), Losing()) == ["no answer"], "no refresh makes a cluster answer"
    assert missing(Losing(error="no answer"), Losing("no Secret")) == ["no answer", "no Secret", remedy]


CALLS_OUT = {**CALLER, "callers": ["mtls/curl"], "networkPolicy": "callers"}
GATEWAY = {
    "gatewayMode": "selfSigned",
    "gatewayDomain": "kyma.example.com",
    "gatewayApiserverProxy": "true",
    "gatewayLegacyInstaller": "true",
    "gatewayServiceEntries": "a.example.org",
}
TAKE_OVER = GATEWAY | {"platform": "kyma", "gatewayTakeOver": "true"}


@pytest.mark.parametrize(
    "config",
    [
        {"clients": {"a": CALLER}, "hosts": {"httpbin": HTTPBIN}},
        {"clients": {"a": CALLER}, "hosts": {"httpbin": HTTPBIN}, "platform": "kyma"},
        {"clients": {"a": CALLS_OUT}, "hosts": {"orders": ORDERS}},
        {"clients": {"a": {**CALLER, "networkPolicy": "none"}}, "hosts": {"orders": ORDERS}, "platform": "kyma"},
        {"clients": {"a": CALLER, "b": ANOTHER}, "hosts": {"httpbin": {**HTTPBIN, "clients": ["a"]}}},
        {"clients": {"a": CALLER}, "hosts": {"httpbin": HTTPBIN}} | GATEWAY,
        {"clients": {"a": CALLER}, "hosts": {"httpbin": HTTPBIN}} | TAKE_OVER,
        GATEWAY | {"gatewayMode": "gardener"},
        TAKE_OVER | {"gatewayMode": "gardener"},
    ],
    ids=["demo", "kyma", "callers", "open", "no-host", "gateway", "take-over", "gardener", "gardener-take-over"],
)
def test_rights_are_those_for_what_is_made_in_each_cluster(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, config: dict[str, Any]
) -> None:
    asked: list[tuple[Any, ...]] = []
    monkeypatch.setattr(rights, "check", lambda *given: asked.append(given))
    made = stack(target=TARGET, **config)
    ((settings, found),) = asked
    for path, cluster in found.all.items():
        wanted = rights.needed(settings, path, found.offers[path])
        creates = {(each.group, each.resource, each.namespace) for each in wanted if each.verb == "create"}
        patches = {(each.group, each.resource, each.namespace) for each in wanted if each.verb == "patch"} - creates
        assert creates == places(made, f"::{path}-{cluster.uid}::", patches=False)
        assert patches == places(made, f"::{path}-{cluster.uid}::", patches=True)


def places(made: Recorder, provider: str, *, patches: bool) -> set[tuple[str, str, str]]:
    """Group, resource and namespace of what a provider makes, or of what it patches."""
    found = set()
    for each in made.resources:
        if not each.typ.startswith("kubernetes:") or each.resource_id or each.typ.endswith("Patch") != patches:
            continue
        if provider in made.requests[f"{each.typ.rpartition(':')[2]} {each.name}"].provider:
            group = each.inputs["apiVersion"].rpartition("/")[0]
            plural = f"{each.inputs['kind'].lower()}s".replace("rys", "ries").replace("cys", "cies")
            found.add((group, plural, each.inputs["metadata"].get("namespace", "")))
    return found


WEBSITE = issue("website", PARTNER, hosts=("*.kyma.example.com",))
OWN_GATEWAY = GATEWAY | {
    "gatewayMode": "own",
    "gatewayCertificate": WEBSITE.pem + PARTNER.pem,
    "gatewayKey": WEBSITE.key_pem,
}
WEAK_CIPHERS = GATEWAY | {
    "gatewayCiphers": "documented",
    "gatewayKeyAlgorithm": "RSA-2048",
    "gatewayLegacyInstaller": "false",
}


@pytest.mark.parametrize(
    ("config", "violated"),
    [
        ({}, set()),
        ({"platform": "kyma"}, set()),
        ({"clients": {"a": CALLS_OUT}, "hosts": {"orders": ORDERS}}, set()),
        (OWN_GATEWAY | {"gatewayLegacyInstaller": "false"}, set()),
        (TAKE_OVER | {"gatewayMode": "gardener"}, set()),
        ({"clients": {"a": {**CALLER, "networkPolicy": "none"}}}, {"egress-network-policy"}),
        (WEAK_CIPHERS, {"gateway-tls"}),
        (GATEWAY, {"no-key-in-config-maps"}),
        (OWN_GATEWAY, {"no-key-in-config-maps"}),
        ({"validityDays": "366"}, {"certificate-lifetime"}),
        ({"caValidityDays": "1826"}, {"certificate-lifetime"}),
    ],
)
def test_stack_violates_a_policy_only_by_a_setting_that_weakens_it(
    stack: Stack, config: dict[str, Any], violated: set[str]
) -> None:
    given = {"target": TARGET, "clients": {"a": CALLER}, "hosts": {"httpbin": HTTPBIN}} | config
    keys = {"PrivateKey": {"privateKeyPem": BILLING.key_pem}}  # which the policies know as such
    assert violations(stack(made=keys, **given)) == violated


def violations(made: Recorder) -> set[str]:
    """Return the names of the policies that a stack violates, in their default config."""
    resources = [Resource("pulumi:pulumi:Stack", "stack", made.result)]
    for each in made.resources:
        plain = {name: rpc.unwrap_rpc_secret(value) for name, value in each.inputs.items()}
        resources.append(Resource(each.typ, each.name, plain, each.provider or ""))
    violated = set()
    for policy in POLICIES:
        config = {name: setting["default"] for name, setting in policy.config.items()}
        if isinstance(policy, ResourcePolicy):
            problems: list[object] = [line for each in resources for line in policy.judge(each, config)]
        else:
            problems = list(policy.judge(resources, config))
        violated |= {policy.name} if problems else set()
    return violated


def test_cluster_that_does_not_answer_amid_an_update_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = fake_cluster()

    def away(*_: object) -> None:
        raise cluster.problem("does not answer: Connection refused")

    monkeypatch.setattr(type(cluster), "read", away)
    with pytest.raises(pulumi.RunError, match=r"^kyma-mtls:target\.kubeconfig: cluster https://target does not answer"):
        kyma_gateway._written(cluster, "istio-system/certs")
