"""What the client cluster is given: each fault of the tutorial put right."""

from collections.abc import Callable
from typing import Any

import pulumi
import pytest

from components.certificates import Credential
from components.egress_client import EgressClient, EgressClientArgs
from components.kubernetes import OWNER, Ownership
from tests.unit.conftest import Deploy, Recorder

Client = Callable[..., Recorder]


@pytest.fixture
def client(deploy: Deploy, credential: Callable[[], Credential]) -> Client:
    """Deploys the component with some arguments changed."""

    def run(**changed: Any) -> Recorder:
        def program() -> None:
            values: dict[str, Any] = {
                "platform": "istio",
                "domain": "httpbin.example.com",
                "namespace": "mtls",
                "ownership": Ownership("", "0a1b"),
                "image": "curl:1",
                "network_policy": True,
            }
            args = EgressClientArgs(
                **(values | changed), client=credential(), ca_certificate=pulumi.Output.from_input("CA")
            )
            EgressClient("client", args)

        return deploy(program)

    return run


def test_the_egress_gateway_verifies_the_name_of_the_server(client: Client) -> None:
    rule = client().one("DestinationRule", "client-originate-mtls")["spec"]
    (port,) = rule["trafficPolicy"]["portLevelSettings"]
    assert port["port"] == {"number": 443}
    assert port["tls"] == {
        "mode": "MUTUAL",
        "credentialName": "client-credential",
        "sni": "httpbin.example.com",
        "subjectAltNames": ["httpbin.example.com"],
    }


def test_only_the_egress_gateway_originates_mutual_tls(client: Client) -> None:
    rule = client().one("DestinationRule", "client-originate-mtls")
    assert rule["spec"]["workloadSelector"] == {"matchLabels": {"istio": "egressgateway"}}, (
        "sidecars would drop the credential and send plaintext"
    )
    assert rule["metadata"]["namespace"] == "istio-system", "a workloadSelector selects in its own namespace only"


def test_the_hop_to_the_egress_gateway_is_mutual_tls(client: Client) -> None:
    stack = client()
    (server,) = stack.one("Gateway", "client-gateway")["spec"]["servers"]
    assert (server["port"]["number"], server["tls"]) == (443, {"mode": "ISTIO_MUTUAL"})
    (subset,) = stack.one("DestinationRule", "client-to-gateway")["spec"]["subsets"]
    assert subset["trafficPolicy"]["portLevelSettings"] == [
        {"port": {"number": 443}, "tls": {"mode": "ISTIO_MUTUAL", "sni": "httpbin.example.com"}}
    ]


def test_plain_http_is_routed_through_the_egress_gateway(client: Client) -> None:
    spec = client().one("VirtualService", "client-route")["spec"]
    assert spec["gateways"] == ["istio-egressgateway", "mesh"]
    first, second = spec["http"]
    assert first["match"] == [{"gateways": ["mesh"], "port": 80}]
    assert first["route"][0]["destination"]["subset"] == "httpbin"
    assert second["match"] == [{"gateways": ["istio-egressgateway"], "port": 443}]
    assert second["route"][0]["destination"] == {"host": "httpbin.example.com", "port": {"number": 443}}


def test_the_host_is_resolved_and_seen_by_the_egress_gateway(client: Client) -> None:
    spec = client().one("ServiceEntry", "client-service-entry")["spec"]
    assert spec["resolution"] == "DNS", "NONE would loop the gateway"
    assert spec["exportTo"] == [".", "istio-system"]


def test_the_policy_lets_out_dns_the_egress_gateway_and_istiod_only(client: Client) -> None:
    spec = client().one("NetworkPolicy", "client-network-policy")["spec"]
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


def test_the_policy_can_be_switched_off(client: Client) -> None:
    assert "NetworkPolicy" not in client(network_policy=False).kinds()


def test_kyma_is_asked_for_the_egress_gateway_without_owning_its_resource(client: Client) -> None:
    stack = client(platform="kyma")
    assert stack.one("IstioPatch", "client-istio")["spec"] == {"components": {"egressGateway": {"enabled": True}}}
    assert "Istio" not in stack.kinds(), "deleting the Istio CR uninstalls Istio"


def test_istio_has_its_egress_gateway_as_installed(client: Client) -> None:
    assert "IstioPatch" not in client().kinds()


def test_a_suffix_keeps_stacks_apart_in_the_shared_namespace(client: Client) -> None:
    stack = client(ownership=Ownership("-ab12c", "0a1b"))
    shared = [r for r in stack.resources if r.inputs.get("metadata", {}).get("namespace") == "istio-system"]
    assert shared
    assert all(r.inputs["metadata"]["name"].endswith("-ab12c") for r in shared), "two stacks would fight over a name"


def test_what_others_could_take_for_theirs_names_its_owner(client: Client) -> None:
    metadata = [r.inputs["metadata"] for r in client().resources if "metadata" in r.inputs]
    shared = [m for m in metadata if m.get("namespace") == "istio-system" or "namespace" not in m]
    assert len(shared) == 4, "the namespace, the Secret, the Telemetry and the DestinationRule"
    assert all(m["annotations"] == {OWNER: "0a1b"} for m in shared)


def test_the_access_log_is_that_of_the_egress_gateway_alone(client: Client) -> None:
    spec = client().one("Telemetry", "client-access-log")["spec"]
    assert spec["selector"] == {"matchLabels": {"istio": "egressgateway"}}
    assert spec["accessLogging"] == [{"providers": [{"name": "envoy"}]}]
