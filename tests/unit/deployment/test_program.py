"""The whole program: the parts that a config has, and the cluster that each is deployed into."""

from importlib.metadata import version
from typing import Any

import pytest
from packaging.version import Version

from clusters import claims
from components.ownership import OWNER_LABEL, RESOURCE_ANNOTATION
from tests.unit.config import production
from tests.unit.conftest import Recorder
from tests.unit.deployment.program import (
    A_PARTNER,
    ANOTHER,
    API,
    BILLING,
    CALLER,
    EXTERNAL,
    GATEWAY,
    HTTPBIN,
    ORDERS,
    SIGNED,
    TAKE_OVER,
    TARGET,
    Stack,
)


def components(made: Recorder) -> list[str]:
    """Return the main parts of a stack, as `Kind name`."""
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
                "EgressRoute httpbin",
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
            ["MtlsTarget target", "MtlsHost target-httpbin", "EgressClient client-a", "EgressRoute httpbin"],
        ),
        (
            {"clients": {"billing": CALLER}, "hosts": {"api": API}},
            ["EgressClient client-billing", "PartnerCredential api", "EgressRoute api"],
        ),
        (
            {
                "clients": {"billing": CALLER},
                "hosts": {"api": {**API, "external": {**EXTERNAL, "credentials": SIGNED}}},
            },
            ["EgressClient client-billing", "PartnerCredential api", "EgressRoute api"],
        ),
    ],
    ids=["demo", "hosts-and-clients", "partners-client-only", "revoked-client", "unsigned", "partners-host"],
)
def test_config_deploys_its_parts_and_no_other(stack: Stack, config: dict[str, Any], expected: list[str]) -> None:
    def plain(name: str) -> str:
        """Return `Kind name` without the client's name, with which a route's begins."""
        kind, _, rest = name.partition(" ")
        return f"{kind} {rest.split('.')[-1]}" if kind in {"EgressRoute", "PartnerCredential"} else name

    assert sorted(plain(name) for name in components(stack(**config))) == sorted(expected)


def test_config_of_the_production_example_deploys_its_parts(stack: Stack) -> None:
    made = stack(**production())
    assert components(made) == [
        "EgressClient client-billing",
        "EgressClient client-warehouse",
        "EgressRoute client-billing.orders",
        "EgressRoute client-billing.payments",
        "EgressRoute client-billing.stock",
        "EgressRoute client-warehouse.orders",
        "EgressRoute client-warehouse.payments",
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


def test_objects_are_deployed_into_their_cluster_under_its_lifecycle(stack: Stack) -> None:
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


def test_objects_are_created_by_server_side_apply_with_each_provider(stack: Stack) -> None:
    made = stack(target=TARGET, clients={"a": CALLER}, hosts={"orders": {**ORDERS, "clients": ["a"]}})
    creates_by_post = Version(version("pulumi-kubernetes")) >= Version("4.29")
    for name in ("target-uid-target", "clients.a-uid-a"):
        provider = made.one("kubernetes", name)
        assert provider.get("upsertExistingObjects") == ("true" if creates_by_post else None), (
            "no update could go on with what a killed one left"
        )
        assert "enablePatchForce" not in provider, "patches would take fields of Kyma's modules from others"


def names_host(made: dict[str, Any]) -> bool:
    """Return whether an object is for one host."""
    return made["metadata"]["name"] not in {"egressgateway-for-mtls-orders", "server-for-mtls-orders"}


@pytest.mark.parametrize("platform", ["kyma", "istio"])
def test_objects_of_a_host_have_the_names_that_claims_know(stack: Stack, platform: str) -> None:
    made = stack(platform=platform, target=TARGET, clients={"caller": CALLER}, hosts={"orders": ORDERS}).objects()
    kinds = {"APIRule", "Gateway", "ServiceEntry", "VirtualService"}
    called = [(o["kind"], o["metadata"]["name"]) for o in made if o["kind"] in kinds and names_host(o)]
    assert len(called) == 6, called
    assert all(claims.is_named_for("orders", kind, name) for kind, name in called), called
    assert not any(claims.is_named_for("order", kind, name) for kind, name in called)


@pytest.mark.parametrize("gateway", [GATEWAY, TAKE_OVER, {**TAKE_OVER, "gatewayMode": "gardener"}])
def test_config_that_was_never_deployed_can_be_destroyed_with_its_program(
    stack: Stack, gateway: dict[str, Any]
) -> None:
    """Run the program as `pulumi destroy --run-program` does: what was never deployed has outputs that are None."""
    names = ("result", "privateKeyPem", "publicKeyPem", "certPem", "certRequestPem", "validityEndTime")
    kinds = ("RandomString", "PrivateKey", "SelfSignedCert", "LocallySignedCert", "CertRequest")
    hosts = {
        "httpbin": HTTPBIN,
        "api": {**API, "external": {**EXTERNAL, "credentials": {"caller": {"certificate": BILLING.pem}}}},
    }
    clients = {"caller": CALLER, "acme": A_PARTNER}
    clusters = {
        "target": TARGET,
        "clients": clients,
        "hosts": {name: {**each, "clients": ["caller"]} for name, each in hosts.items()},
    }
    made = stack(made={kind: dict.fromkeys(names) for kind in kinds}, namespace="", **clusters, **gateway)
    assert made.result["target"]["namespace"] == "kyma-mtls-"
    assert made.result["hosts"]["httpbin"]["expiry"] == ""
