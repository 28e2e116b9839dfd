"""What a client cluster is given, whatever hosts it calls."""

from collections.abc import Callable
from typing import Any

import pulumi
import pytest

from components.certificates import Credential
from components.egress_client import EgressClient, EgressClientArgs
from tests.unit.conftest import Deploy, Recorder

Client = Callable[..., Recorder]


@pytest.fixture
def client(deploy: Deploy, credential: Callable[[], Credential]) -> Client:
    """Deploys the component with some arguments changed; the result is its outputs."""

    def run(**changed: Any) -> Recorder:
        def program() -> dict[str, Any]:
            values: dict[str, Any] = {
                "platform": "istio",
                "namespace": "mtls",
                "demo_image": "curl:1",
                "callers": (),
                "client": credential(),
                "generations": "2.1",
                "ca_certificates": pulumi.Output.from_input("CA"),
                "closed": True,
                "closed_namespaces": (),
            }
            deployed = EgressClient("client", EgressClientArgs(**(values | changed)))
            return {
                "namespace": deployed.namespace,
                "secret": deployed.secret,
                "principals": list(deployed.callers.principals),
                "namespaces": list(deployed.callers.namespaces),
            }

        return deploy(program)

    return run


def policies(stack: Recorder) -> dict[str, str]:
    """Name of each NetworkPolicy by its namespace."""
    made = [r.inputs["metadata"] for r in stack.resources if r.typ.endswith(":NetworkPolicy")]
    return {metadata["namespace"]: metadata["name"] for metadata in made}


def test_secret_has_the_keys_that_the_egress_gateway_reads(client: Client) -> None:
    stack = client()
    metadata = stack.one("Secret", "client-credential.2.1")["metadata"]
    assert metadata == {"name": "client-credential-mtls.2.1", "namespace": "istio-system"}
    pem = {"ca.crt": "CA", "tls.crt": "CERTIFICATE", "tls.key": "KEY"}
    assert stack.pem("Secret", "client-credential.2.1") == pem
    assert (stack.result["namespace"], stack.result["secret"]) == ("mtls", "client-credential-mtls.2.1")


@pytest.mark.parametrize(
    ("changed", "principals", "namespaces"),
    [
        ({}, ["*/ns/mtls/sa/curl"], []),
        (
            {"demo_image": "", "callers": ("logistics/dispatcher", "invoices")},
            ["*/ns/logistics/sa/dispatcher"],
            ["invoices"],
        ),
    ],
    ids=["demo", "declared"],
)
def test_callers_are_identities_in_any_trust_domain(
    client: Client, changed: dict[str, Any], principals: list[str], namespaces: list[str]
) -> None:
    stack = client(**changed)
    assert stack.result["principals"] == principals
    assert stack.result["namespaces"] == namespaces
    assert ("Deployment" in stack.kinds()) == ("callers" not in changed), "the demo calls where nobody is declared"


def test_demo_has_no_privilege_and_may_reach_the_egress_gateway(client: Client) -> None:
    template = client().one("Deployment", "client-curl")["spec"]["template"]
    assert template["metadata"]["labels"]["networking.kyma-project.io/to-egressgateway"] == "allowed"
    pod = template["spec"]
    assert pod["serviceAccountName"] == "curl", "the egress gateway knows it by this"
    assert pod["automountServiceAccountToken"] is False
    assert pod["containers"][0]["securityContext"]["capabilities"] == {"drop": ["ALL"]}


@pytest.mark.parametrize(
    ("closed", "namespaces", "expected"),
    [
        (True, (), {"mtls": "network-policy-allow-egress-traffic"}),
        (
            True,
            ("logistics", "invoices"),
            {
                "mtls": "network-policy-allow-egress-traffic",
                "logistics": "network-policy-allow-egress-traffic-mtls",
                "invoices": "network-policy-allow-egress-traffic-mtls",
            },
        ),
        (False, (), {}),
    ],
    ids=["own", "callers", "none"],
)
def test_policies_close_the_namespaces_they_are_asked_for(
    client: Client, closed: bool, namespaces: tuple[str, ...], expected: dict[str, str]
) -> None:
    assert policies(client(closed=closed, closed_namespaces=namespaces)) == expected


def test_policy_lets_out_dns_the_egress_gateway_and_istiod_only(client: Client) -> None:
    stack = client(closed_namespaces=("logistics",))
    spec = stack.one("NetworkPolicy", "client-network-policy")["spec"]
    assert spec["podSelector"] == {}
    assert spec["policyTypes"] == ["Egress"]
    dns, gardener_dns, gateway, istiod = spec["egress"]
    assert {"ipBlock": {"cidr": "10.0.0.10/32"}} in dns["to"]
    assert {"ipBlock": {"cidr": "169.254.20.10/32"}} in dns["to"], "Gardener's node-local DNS"
    assert {(port["port"], port["protocol"]) for port in dns["ports"]} == {(53, "UDP"), (53, "TCP")}
    assert {(port["port"], port["protocol"]) for port in gardener_dns["ports"]} == {(8053, "UDP"), (8053, "TCP")}
    assert gateway["to"][0]["podSelector"] == {"matchLabels": {"istio": "egressgateway"}}
    assert istiod["to"][0]["podSelector"] == {"matchLabels": {"app": "istiod"}}
    assert [gateway["ports"][0]["port"], istiod["ports"][0]["port"]] == [8443, 15012]
    assert stack.one("NetworkPolicy", "client-network-policy-logistics")["spec"] == spec


def test_kyma_is_asked_for_the_egress_gateway_without_owning_its_resource(client: Client) -> None:
    stack = client(platform="kyma")
    assert stack.one("IstioPatch", "client-istio")["spec"] == {"components": {"egressGateway": {"enabled": True}}}
    assert "Istio" not in stack.kinds(), "deleting the Istio CR uninstalls Istio"


def test_istio_has_its_egress_gateway_as_installed(client: Client) -> None:
    assert "IstioPatch" not in client().kinds()


def test_the_stacks_namespace_keeps_stacks_apart_in_a_shared_one(client: Client) -> None:
    shared = [made for made in client().objects() if made["metadata"].get("namespace") == "istio-system"]
    assert [made["metadata"]["name"] for made in shared] == ["client-credential-mtls.2.1", "egress-access-log-mtls"]


def test_access_log_is_that_of_the_egress_gateway_alone(client: Client) -> None:
    spec = client().one("Telemetry", "client-access-log")["spec"]
    assert spec["selector"] == {"matchLabels": {"istio": "egressgateway"}}
    assert spec["accessLogging"] == [{"providers": [{"name": "envoy"}]}]
