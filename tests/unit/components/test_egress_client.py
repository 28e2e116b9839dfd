"""The objects of a client cluster that all of its hosts share."""

import re
from collections.abc import Callable
from typing import Any

import pulumi
import pytest

from components.certificates import Credential
from components.egress_client import EgressClient, EgressClientArgs
from components.istio_gateway import Destination, Pods
from tests.unit.conftest import Deploy, Recorder
from tests.unit.facts import DNS, HELM_EGRESS, ISTIO_INJECTION, ISTIOCTL_EGRESS, ISTIODS

Client = Callable[..., Recorder]


@pytest.fixture
def client(deploy: Deploy, credential: Callable[[], Credential]) -> Client:
    """Deploys the component with some arguments changed; the result is its outputs."""

    def run(**changed: Any) -> Recorder:
        def program() -> dict[str, Any]:
            values: dict[str, Any] = {
                "platform": "istio",
                "namespace": "mtls",
                "injection": ISTIO_INJECTION,
                "gateway": ISTIOCTL_EGRESS,
                "logs_requests": True,
                "demo_image": "curl:1",
                "callers": (),
                "client": credential(),
                "closed": True,
                "closed_namespaces": (),
                "allowed_destinations": (DNS, ISTIODS),
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
    metadata, pem = stack.credential("client-credential.2.1")
    assert metadata == {"name": "client-credential-mtls.2.1", "namespace": "istio-system"}
    assert pem == {"ca.crt": "CA\n", "tls.crt": "CERTIFICATE", "tls.key": "KEY"}
    assert (stack.result["namespace"], stack.result["secret"]) == ("mtls", "client-credential-mtls.2.1")


@pytest.mark.parametrize(
    ("given", "joined"),
    [("CA\n", "CA\n"), (["CA\n", pulumi.Output.from_input("ACME\n"), "CA\n"], "CA\nACME\n")],
    ids=["text", "list"],
)
def test_ca_certificates_are_one_text_or_a_list(client: Client, given: object, joined: str) -> None:
    stack = client(ca_certificates=given)
    assert stack.pem("Secret", stack.marked("client-credential.2.1"))["ca.crt"] == joined


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
    assert ("Deployment" in stack.kinds()) == ("callers" not in changed), (
        "the demo is the caller where none is declared"
    )


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
def test_network_policies_close_the_named_namespaces(
    client: Client, closed: bool, namespaces: tuple[str, ...], expected: dict[str, str]
) -> None:
    assert policies(client(closed=closed, closed_namespaces=namespaces)) == expected


MINE = {"makes_namespace": False, "demo_image": ""}
NO_PODS = {"demo_image": "", "callers": ("logistics",)}


@pytest.mark.parametrize(
    ("changed", "closed"),
    [({}, {"mtls"}), (NO_PODS, {"mtls"}), (MINE, set()), (MINE | {"closed": True}, {"mtls"})],
    ids=["made", "made-without-pods", "there", "there-and-closed"],
)
def test_network_policy_closes_a_made_namespace_by_default(
    client: Client, changed: dict[str, Any], closed: set[str]
) -> None:
    assert set(policies(client(**({"closed": None} | changed)))) == closed


@pytest.mark.parametrize(
    "changed",
    [{}, MINE | {"closed": True}, NO_PODS | {"closed_namespaces": ["logistics"]}, MINE | {"closed_namespaces": ["a"]}],
    ids=["demo", "there", "callers", "callers-alone"],
)
def test_closed_pods_without_allowed_destinations_are_refused(client: Client, changed: dict[str, Any]) -> None:
    with pytest.raises(
        pulumi.RunError, match=r"^allowed_destinations: empty; Pods of closed namespaces need DNS and istiod$"
    ):
        client(**({"closed": None, "allowed_destinations": ()} | changed))


@pytest.mark.parametrize(
    "changed", [MINE, NO_PODS, {"closed": False}, MINE | {"closed": False}], ids=["there", "no-pods", "open", "both"]
)
def test_allowed_destinations_may_be_empty_without_closed_pods(client: Client, changed: dict[str, Any]) -> None:
    stack = client(**({"closed": None, "allowed_destinations": ()} | changed))
    assert set(policies(stack)) == ({"mtls"} if changed == NO_PODS else set())


def in_namespace(name: str, **labels: str) -> dict[str, Any]:
    """Return a NetworkPolicy's peer that selects Pods of a namespace."""
    return {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}},
        "podSelector": {"matchLabels": labels},
    }


def test_network_policy_allows_the_namespace_the_egress_gateway_and_the_allowed_destinations_only(
    client: Client,
) -> None:
    stack = client(closed_namespaces=("logistics",))
    spec = stack.one("NetworkPolicy", "client-network-policy")["spec"]
    assert spec["podSelector"] == {}
    assert spec["policyTypes"] == ["Egress"]
    assert spec["egress"] == [
        {
            "to": [in_namespace("istio-system", app="istio-egressgateway", istio="egressgateway")],
            "ports": [{"port": 8443, "protocol": "TCP"}],
        },
        {
            "to": [{"ipBlock": {"cidr": "10.0.0.10/32"}}],
            "ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}],
        },
        {
            "to": [in_namespace("istio-system", app="istiod", istio="pilot")],
            "ports": [{"port": 15012, "protocol": "TCP"}],
        },
        {"to": [{"podSelector": {}}]},
    ]
    assert stack.one("NetworkPolicy", "client-network-policy-logistics")["spec"] == spec


def test_further_destinations_are_those_of_closed_namespaces(client: Client) -> None:
    further = [
        Destination((), pods=Pods("data", {})),
        Destination(((5432, "TCP"),), ("192.0.2.0/24",)),
    ]
    stack = client(closed_namespaces=("logistics",), further_destinations=further)
    rules = stack.one("NetworkPolicy", "client-network-policy-logistics")["spec"]["egress"]
    assert rules[-3:] == [
        {"to": [in_namespace("data")]},
        {"to": [{"ipBlock": {"cidr": "192.0.2.0/24"}}], "ports": [{"port": 5432, "protocol": "TCP"}]},
        {"to": [{"podSelector": {}}]},
    ]
    own = stack.one("NetworkPolicy", "client-network-policy")["spec"]["egress"]
    assert own == [*rules[:-3], rules[-1]], "the stack's own Pods need none"


def test_objects_follow_the_given_egress_gateway(client: Client) -> None:
    stack = client(gateway=HELM_EGRESS)
    gateway = stack.one("NetworkPolicy", "client-network-policy")["spec"]["egress"][0]
    assert gateway["to"] == [in_namespace("egress", app="way-out", istio="way-out")]
    assert gateway["ports"] == [{"port": 10443, "protocol": "TCP"}]
    assert stack.one("Secret", "client-credential.2.1")["metadata"]["namespace"] == "egress"
    telemetry = stack.one("Telemetry", "client-access-log")
    assert telemetry["metadata"]["namespace"] == "egress"
    assert telemetry["spec"]["selector"] == {"matchLabels": HELM_EGRESS.selector}


def test_existing_namespace_is_left_alone(client: Client) -> None:
    stack = client(makes_namespace=False)
    assert "Namespace" not in stack.kinds(), "its deletion would delete all objects in it"
    assert stack.result["namespace"] == "mtls"
    assert stack.one("Secret", "client-credential.2.1")["metadata"]["name"] == "client-credential-mtls.2.1"


def test_revision_is_the_label_of_namespace_and_pods(client: Client) -> None:
    stack = client(injection={"istio.io/rev": "canary"})
    assert stack.one("Namespace", "client-namespace")["metadata"]["labels"] == {"istio.io/rev": "canary"}
    template = stack.one("Deployment", "client-curl")["spec"]["template"]
    assert template["metadata"]["labels"]["istio.io/rev"] == "canary"


def test_istio_cr_is_patched_and_not_owned_on_platform_kyma(client: Client) -> None:
    stack = client(platform="kyma")
    assert stack.one("IstioPatch", "client-istio")["spec"] == {"components": {"egressGateway": {"enabled": True}}}
    assert "Istio" not in stack.kinds(), "deleting the Istio CR uninstalls Istio"
    assert "IstioPatch" not in client(platform="kyma", gateway=HELM_EGRESS).kinds(), "the user's own is there"


def test_istio_cr_is_left_alone_on_platform_istio(client: Client) -> None:
    assert "IstioPatch" not in client().kinds()


def test_names_in_the_gateways_namespace_end_in_the_stacks_namespace(client: Client) -> None:
    shared = [made for made in client().objects() if made["metadata"].get("namespace") == "istio-system"]
    assert {made["metadata"]["name"] for made in shared} == {
        "client-credential-mtls.2.1",
        "egress-access-log-mtls",
    }


def test_access_log_is_that_of_the_egress_gateway_alone(client: Client) -> None:
    spec = client().one("Telemetry", "client-access-log")["spec"]
    assert spec["selector"] == {"matchLabels": ISTIOCTL_EGRESS.selector}
    assert spec["accessLogging"] == [{"providers": [{"name": "envoy"}]}]


def test_access_log_is_left_alone_unless_asked_for(client: Client) -> None:
    assert "Telemetry" not in client(logs_requests=False).kinds()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"callers": ["*"]}, "callers '*': not a caller"),
        ({"callers": ["logistics/*"]}, "callers 'logistics/*': not a caller"),
        ({"callers": [""]}, "callers '': not a caller"),
        ({"callers": ["istio-system/x"]}, "callers 'istio-system/x': istio-system is Istio's own namespace"),
        ({"callers": "logistics"}, "callers: not a list, but str"),
        ({"closed_namespaces": ["*"]}, "closed_namespaces '*': not a DNS label"),
        ({"closed_namespaces": "logistics"}, "closed_namespaces: not a list, but str"),
    ],
)
def test_argument_that_would_admit_further_callers_is_refused(
    client: Client, changed: dict[str, Any], message: str
) -> None:
    with pytest.raises(pulumi.RunError, match=re.escape(message)):
        client(**changed)


def test_unknown_platform_is_refused(client: Client) -> None:
    with pytest.raises(pulumi.RunError, match="platform 'Kyma': use one of kyma, istio"):
        client(platform="Kyma")
