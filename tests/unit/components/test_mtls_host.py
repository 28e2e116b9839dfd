"""The objects of a host of the target cluster."""

import re
from collections.abc import Callable
from typing import Any

import pulumi
import pytest

from components import certificate_names, path_encoding
from components.certificates import Credential
from components.mtls_host import MtlsHost, MtlsHostArgs, ServiceRef
from tests.unit.conftest import Deploy, Recorder
from tests.unit.facts import HELM_INGRESS, ISTIOCTL_INGRESS
from tests.unit.pki import issue

DOMAIN = "orders.example.com"
WAREHOUSE = "spiffe://kyma-mtls/test/client/warehouse"
ORDERS = ServiceRef("shop", "orders", 8080)

Host = Callable[..., Recorder]


@pytest.fixture
def host(deploy: Deploy, credential: Callable[[], Credential]) -> Host:
    """Deploys the component with some arguments changed."""

    def run(**changed: Any) -> Recorder:
        def program() -> dict[str, Any]:
            values: dict[str, Any] = {
                "platform": "istio",
                "host": "orders",
                "domain": DOMAIN,
                "namespace": pulumi.Output.from_input("mtls"),
                "gateway": ISTIOCTL_INGRESS,
                "service": None,
                "methods": ("GET",),
                "paths": ("/*",),
                "server": credential(),
                "admitted": [WAREHOUSE],
            }
            deployed = MtlsHost("target-orders", MtlsHostArgs(**(values | changed)))
            return {"secret": deployed.secret, "gateway": deployed.gateway}

        return deploy(program)

    return run


def test_gateway_demands_a_client_certificate(host: Host) -> None:
    gateway = host().one("Gateway", "target-orders-gateway")
    assert gateway["metadata"] == {"name": "kyma-mtls-gateway-orders", "namespace": "mtls"}
    (server,) = gateway["spec"]["servers"]
    assert server["tls"] == {"mode": "MUTUAL", "credentialName": "kyma-mtls-certs-mtls-orders.2.1"}
    assert server["port"] == {"number": 443, "name": "mtls", "protocol": "HTTPS"}
    assert server["hosts"] == [f"./{DOMAIN}"], "any namespace could bind routes of its own"


@pytest.mark.parametrize("platform", ["kyma", "istio"])
def test_gateway_comes_after_its_policy(host: Host, platform: str) -> None:
    stack = host(platform=platform)
    admission = f"AuthorizationPolicy {stack.marked('target-orders-admission')}"
    assert stack.comes_after("Gateway target-orders-gateway", admission), (
        "until then every certificate of the CA would do"
    )


def test_secret_has_the_keys_that_the_gateway_reads(host: Host) -> None:
    stack = host()
    metadata, pem = stack.credential("target-orders-certs.2.1")
    assert metadata == {"name": "kyma-mtls-certs-mtls-orders.2.1", "namespace": "istio-system"}
    assert pem == {"cacert": "CA\n", "cert": "CERTIFICATE", "key": "KEY"}
    assert stack.result == {"secret": metadata["name"], "gateway": "mtls/kyma-mtls-gateway-orders"}


def test_secret_has_each_ca_once(host: Host) -> None:
    stack = host(ca_certificates=["CA\n", "ACME\n", "CA\n"])
    assert stack.pem("Secret", stack.marked("target-orders-certs.2.1"))["cacert"] == "CA\nACME\n"


def test_secret_has_another_name_for_other_given_cas(host: Host) -> None:
    first, second = issue("a").pem, issue("b").pem
    made = pulumi.Output.from_input("CA\n")
    names = [
        host(ca_certificates=given).result["secret"]
        for given in (made, [made, first], [made, second], [made, first + second], [made, second + first])
    ]
    assert names[0] == "kyma-mtls-certs-mtls-orders.2.1", "its generations stand for the stack's own"
    assert all(re.fullmatch(r"kyma-mtls-certs-mtls-orders\.2\.1\.[0-9a-f]{8}", name) for name in names[1:])
    assert len(set(names)) == 4
    assert names[-1] == names[-2], "the order means nothing"


@pytest.mark.parametrize("given", ["CA\n", pulumi.Output.from_input("CA\n")], ids=["text", "output"])
def test_ca_certificates_may_be_a_single_text(host: Host, given: pulumi.Input[str]) -> None:
    stack = host(ca_certificates=given)
    name = stack.marked("target-orders-certs.2.1") if isinstance(given, str) else "target-orders-certs.2.1"
    assert stack.pem("Secret", name)["cacert"] == "CA\n"


def test_policy_admits_by_spiffe_id_and_by_dns_name(host: Host) -> None:
    policy = host(admitted=[WAREHOUSE, "dns:acme.example"]).policy("target-orders-admission")
    assert policy["metadata"]["namespace"] == "istio-system"
    assert re.fullmatch("admission-mtls-orders-[0-9a-f]{8}", policy["metadata"]["name"])
    assert policy["spec"]["selector"] == {"matchLabels": ISTIOCTL_INGRESS.selector}
    admission = policy["spec"]["rules"][0]
    assert admission["from"] == [{"source": {"notPrincipals": ["kyma-mtls/test/client/warehouse"]}}]
    assert admission["when"][0]["notValues"] == ["*;DNS=acme.example"]


def test_gateway_checks_each_name_of_a_certificate_where_a_dns_name_is_admitted(host: Host) -> None:
    """Within X-Forwarded-Client-Cert, a name that contains ;DNS=acme.example would look like that name."""
    stack = host(admitted=[WAREHOUSE, "dns:acme.example"])
    (server,) = stack.one("Gateway", "target-orders-gateway")["spec"]["servers"]
    assert server["tls"]["subjectAltNames"] == [WAREHOUSE, "acme.example"]


def test_deletion_of_an_api_rule_does_not_wait_long_for_an_operator(host: Host) -> None:
    made = host(platform="kyma").request("APIRule", "target-orders-route")
    assert made.customTimeouts.delete == "2m", "its finalizer is the operator's"


@pytest.mark.parametrize("platform", ["istio", "kyma"])
def test_envoy_filter_compares_each_name_as_a_whole_before_the_gateway_serves(host: Host, platform: str) -> None:
    stack = host(platform=platform, admitted=[WAREHOUSE, "dns:acme.example"])
    made = stack.one("EnvoyFilter", "target-orders-names")
    assert made["metadata"] == {"name": "names-mtls-orders", "namespace": "istio-system"}
    spec = certificate_names.refusing_filter(ISTIOCTL_INGRESS.selector, DOMAIN, [WAREHOUSE, "dns:acme.example"])
    assert made["spec"] == spec
    assert stack.comes_after("Gateway target-orders-gateway", "EnvoyFilter target-orders-names")


def test_spiffe_ids_need_no_envoy_filter(host: Host) -> None:
    assert "EnvoyFilter" not in host(admitted=[WAREHOUSE]).kinds()


def test_host_that_admits_nobody_denies_everybody(host: Host) -> None:
    admission = host(admitted=[]).policy("target-orders-admission")["spec"]["rules"][0]
    assert admission == {"to": [{"operation": {"hosts": [DOMAIN, f"{DOMAIN}:*"], "notPorts": ["15021"]}}]}


@pytest.mark.parametrize(
    ("platform", "paths", "by_policy"),
    [
        ("istio", ("/health", "/orders/*"), ["notMethods", "notPaths"]),
        ("istio", ("/*", "/health"), ["notMethods"]),
        ("kyma", ("/health",), []),
    ],
)
def test_policy_restricts_methods_and_paths_on_platform_istio(
    host: Host, platform: str, paths: tuple[str, ...], by_policy: list[str]
) -> None:
    _, *further = host(platform=platform, paths=paths).policy("target-orders-admission")["spec"]["rules"]
    denied = [key for rule in further for key in rule["to"][0]["operation"] if key not in ("hosts", "notPorts")]
    assert denied == by_policy


def test_virtual_service_routes_for_the_ingress_gateway_alone(host: Host) -> None:
    stack = host()
    route = stack.one("VirtualService", "target-orders-route")
    assert route["metadata"] == {"name": "orders", "namespace": "mtls"}
    assert route["spec"]["gateways"] == ["mtls/kyma-mtls-gateway-orders"]
    assert route["spec"]["exportTo"] == [".", "istio-system"]
    (http,) = route["spec"]["http"]
    destination = {"host": "httpbin.mtls.svc.cluster.local", "port": {"number": 8000}}
    assert http == {"route": [{"destination": destination}]}
    assert "APIRule" not in stack.kinds()


PREFIX = ("/health", "/orders/*")


def test_virtual_service_refuses_paths_that_a_server_may_read_otherwise(host: Host) -> None:
    refusal, http = host(paths=PREFIX).one("VirtualService", "target-orders-route")["spec"]["http"]
    assert refusal == path_encoding.refusing_route()
    assert http["route"]


def test_envoy_filter_refuses_such_paths_on_platform_kyma(host: Host) -> None:
    stack = host(platform="kyma", paths=PREFIX)
    made = stack.one("EnvoyFilter", "target-orders-paths")
    assert made["apiVersion"] == "networking.istio.io/v1alpha3"
    assert made["metadata"] == {"name": "paths-mtls-orders", "namespace": "istio-system"}
    assert made["spec"]["workloadSelector"] == {"labels": ISTIOCTL_INGRESS.selector}
    (patch,) = made["spec"]["configPatches"]
    gateway = {"gateway": "mtls/kyma-mtls-gateway-orders"}
    assert patch["match"] == {"context": "GATEWAY", "routeConfiguration": gateway}, "no other Gateway's requests"
    assert stack.comes_after("APIRule target-orders-route", "EnvoyFilter target-orders-paths")


@pytest.mark.parametrize("paths", [("/*",), ("/*", "/orders/*"), ("/health",)])
def test_all_paths_and_exact_paths_need_no_such_refusal(host: Host, paths: tuple[str, ...]) -> None:
    (http,) = host(paths=paths).one("VirtualService", "target-orders-route")["spec"]["http"]
    assert "match" not in http
    assert "EnvoyFilter" not in host(platform="kyma", paths=paths).kinds()


def test_objects_follow_the_given_ingress_gateway(host: Host) -> None:
    stack = host(gateway=HELM_INGRESS)
    assert stack.one("Gateway", "target-orders-gateway")["spec"]["selector"] == HELM_INGRESS.selector
    admission = stack.policy("target-orders-admission")
    assert admission["spec"]["selector"] == {"matchLabels": HELM_INGRESS.selector}
    assert admission["metadata"]["namespace"] == "ingress"
    assert stack.one("Secret", "target-orders-certs.2.1")["metadata"]["namespace"] == "ingress"
    assert stack.one("VirtualService", "target-orders-route")["spec"]["exportTo"] == [".", "ingress"]


@pytest.mark.parametrize("platform", ["kyma", "istio"])
def test_existing_service_is_routed_to_without_objects_in_its_namespace(host: Host, platform: str) -> None:
    stack = host(platform=platform, service=ORDERS)
    namespaces = {made["metadata"].get("namespace") for made in stack.objects()}
    assert namespaces == {"mtls", "istio-system"}, "objects in its namespace are not the stack's"
    if platform == "kyma":
        service = stack.one("APIRule", "target-orders-route")["spec"]["service"]
        assert service == {"name": "orders", "namespace": "shop", "port": 8080}
    else:
        (http,) = stack.one("VirtualService", "target-orders-route")["spec"]["http"]
        assert http["route"] == [{"destination": {"host": "orders.shop.svc.cluster.local", "port": {"number": 8080}}}]
        assert stack.policy("target-orders-admission")


def test_api_rule_routes_on_platform_kyma(host: Host) -> None:
    stack = host(platform="kyma", methods=("GET", "POST"), paths=("/health", "/orders/*"))
    rule = stack.one("APIRule", "target-orders-route")
    assert rule["apiVersion"] == "gateway.kyma-project.io/v2", "older versions are served but no longer reconciled"
    assert stack.comes_after("Stash target-orders-route-ready", "APIRule target-orders-route"), "it is waited for"
    assert rule["spec"]["gateway"] == "mtls/kyma-mtls-gateway-orders"
    assert rule["spec"]["hosts"] == [DOMAIN]
    assert rule["spec"]["rules"] == [
        {"path": "/health", "methods": ["GET", "POST"], "noAuth": True},
        {"path": "/orders/{**}", "methods": ["GET", "POST"], "noAuth": True},
    ]
    assert "VirtualService" not in stack.kinds(), "the API Gateway module makes it"


def test_api_rule_has_paths_in_kymas_notation(host: Host) -> None:
    (rule,) = host(platform="kyma").one("APIRule", "target-orders-route")["spec"]["rules"]
    assert rule["path"] == "/*"


def test_unknown_platform_is_refused(host: Host) -> None:
    with pytest.raises(pulumi.RunError, match="platform 'Kyma': use one of kyma, istio"):
        host(platform="Kyma")


@pytest.mark.parametrize(
    "identity",
    [
        *("warehouse", "kyma-mtls/test/client/warehouse", "*", ""),
        *("spiffe://", "spiffe://*", "spiffe://a/*", "dns:", "dns:*", "dns:*.acme.example"),
    ],
)
def test_identity_that_would_admit_nobody_or_many_is_refused(host: Host, identity: str) -> None:
    with pytest.raises(pulumi.RunError, match=re.escape(f"admitted {identity!r}: not ")):
        host(admitted=[WAREHOUSE, identity])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"domain": "*.example.com"}, "domain '*.example.com': not a domain name"),
        ({"domain": "orders"}, "domain 'orders': not a domain name"),
        ({"domain": "Orders.example.com"}, "domain 'Orders.example.com': not a domain name"),
        ({"domain": pulumi.Output.from_input(DOMAIN)}, "domain: not a plain text, but Output"),
        ({"methods": ()}, "methods: empty; name at least one"),
        ({"methods": ["*"]}, "methods '*': not one of GET, HEAD"),
        ({"methods": ["get"]}, "methods 'get': not one of GET, HEAD"),
        ({"methods": "GET"}, "methods: not a list, but str"),
        ({"paths": ()}, "paths: empty; name at least one"),
        ({"paths": ["*"]}, "paths '*': not a path"),
        ({"paths": "/*"}, "paths: not a list, but str"),
        ({"admitted": WAREHOUSE}, "admitted: not a list, but str"),
        ({"admitted": [None]}, "admitted: not a plain text, but NoneType"),
    ],
)
@pytest.mark.parametrize("platform", ["kyma", "istio"])
def test_argument_that_would_admit_more_requests_is_refused(
    host: Host, platform: str, changed: dict[str, Any], message: str
) -> None:
    with pytest.raises(pulumi.RunError, match=re.escape(message)):
        host(platform=platform, **changed)
