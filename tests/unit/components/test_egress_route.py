"""How a host is reached from a client cluster: each fault of the tutorial put right."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pulumi
import pytest

from components.authorization import Identities
from components.egress_route import EgressRoute, EgressRouteArgs
from tests.unit.conftest import Deploy, Recorder
from tests.unit.facts import HELM_EGRESS, ISTIOCTL_EGRESS

DOMAIN = "orders.example.com"
CURL = "*/ns/mtls/sa/curl"

Route = Callable[..., Recorder]


def arguments(**changed: Any) -> EgressRouteArgs:
    values: dict[str, Any] = {
        "host": "orders",
        "domain": DOMAIN,
        "port": 443,
        "namespace": pulumi.Output.from_input("mtls"),
        "gateway": ISTIOCTL_EGRESS,
        "secret": pulumi.Output.from_input("client-credential-mtls"),
        "callers": Identities([CURL]),
        "caller_namespaces": (),
    }
    return EgressRouteArgs(**(values | changed))


@pytest.fixture
def route(deploy: Deploy) -> Route:
    """Deploys the component with some arguments changed."""
    return lambda **changed: deploy(lambda: EgressRoute("route", arguments(**changed)) and None)


def test_egress_gateway_verifies_the_name_of_the_server(route: Route) -> None:
    rule = route().one("DestinationRule", "route-originate-mtls")["spec"]
    (port,) = rule["trafficPolicy"]["portLevelSettings"]
    assert port["port"] == {"number": 443}
    assert port["tls"] == {
        "mode": "MUTUAL",
        "credentialName": "client-credential-mtls",
        "sni": DOMAIN,
        "subjectAltNames": [DOMAIN],
    }


def test_mutual_tls_is_originated_by_the_egress_gateway_only(route: Route) -> None:
    rule = route().one("DestinationRule", "route-originate-mtls")
    assert rule["spec"]["workloadSelector"] == {"matchLabels": ISTIOCTL_EGRESS.selector}, (
        "sidecars would drop the credential and send plaintext"
    )
    assert rule["spec"]["exportTo"] == ["."]
    assert rule["metadata"]["namespace"] == "istio-system", "a workloadSelector selects in its own namespace only"


def test_hop_to_the_egress_gateway_is_mutual_tls(route: Route) -> None:
    stack = route()
    (server,) = stack.one("Gateway", "route-gateway")["spec"]["servers"]
    assert (server["port"]["number"], server["tls"]) == (443, {"mode": "ISTIO_MUTUAL"})
    assert server["hosts"] == [f"./{DOMAIN}"], "any namespace could bind routes of its own"
    rule = stack.one("DestinationRule", "route-to-gateway")
    assert rule["metadata"] == {"name": "egressgateway-for-mtls-orders", "namespace": "istio-system"}
    assert rule["spec"]["exportTo"] == ["*"], "rules for one Service merge only if exported alike"
    assert "trafficPolicy" not in rule["spec"], "it would be that of every caller of the egress gateway"
    (subset,) = rule["spec"]["subsets"]
    assert subset["trafficPolicy"]["portLevelSettings"] == [
        {"port": {"number": 443}, "tls": {"mode": "ISTIO_MUTUAL", "sni": DOMAIN}}
    ]


def test_plain_http_is_routed_through_the_egress_gateway(route: Route) -> None:
    spec = route().one("VirtualService", "route-route")["spec"]
    assert spec["gateways"] == ["istio-egressgateway-orders", "mesh"]
    first, second = spec["http"]
    assert first["match"] == [{"gateways": ["mesh"], "port": 80}]
    assert first["route"][0]["destination"]["subset"] == "mtls-orders"
    assert second["match"] == [{"gateways": ["istio-egressgateway-orders"], "port": 443}]
    assert second["route"][0]["destination"] == {"host": DOMAIN, "port": {"number": 443}}


def test_port_of_the_host_is_used_all_the_way(route: Route) -> None:
    stack = route(port=8443)
    ports = [port["number"] for port in stack.one("ServiceEntry", "route-service-entry")["spec"]["ports"]]
    assert ports == [80, 8443]
    policy = stack.one("DestinationRule", "route-originate-mtls")["spec"]["trafficPolicy"]
    assert [each["port"]["number"] for each in policy["portLevelSettings"]] == [8443]
    _, second = stack.one("VirtualService", "route-route")["spec"]["http"]
    assert second["route"][0]["destination"]["port"] == {"number": 8443}
    (server,) = stack.one("Gateway", "route-gateway")["spec"]["servers"]
    assert server["port"]["number"] == 443, "the egress gateway listens there"


@pytest.mark.parametrize("namespaces", [(), ("logistics", "invoices")])
def test_host_is_resolved_and_seen_by_its_callers_and_the_egress_gateway_only(
    route: Route, namespaces: tuple[str, ...]
) -> None:
    stack = route(caller_namespaces=namespaces)
    entry = stack.one("ServiceEntry", "route-service-entry")["spec"]
    assert entry["hosts"] == [DOMAIN]
    assert entry["resolution"] == "DNS", "NONE would loop the gateway"
    assert entry["exportTo"] == [".", "istio-system", *namespaces]
    assert stack.one("VirtualService", "route-route")["spec"]["exportTo"] == entry["exportTo"]


def test_egress_gateway_admits_the_callers_alone(route: Route) -> None:
    policy = route(callers=Identities([CURL], ["invoices"])).policy("route-callers")
    assert policy["metadata"]["namespace"] == "istio-system"
    assert re.fullmatch("callers-mtls-orders-[0-9a-f]{8}", policy["metadata"]["name"])
    assert policy["spec"]["selector"] == {"matchLabels": ISTIOCTL_EGRESS.selector}
    (rule,) = policy["spec"]["rules"]
    assert rule == {
        "to": [{"operation": {"hosts": [DOMAIN, f"{DOMAIN}:*"], "notPorts": ["15021"]}}],
        "from": [{"source": {"notPrincipals": [CURL], "notNamespaces": ["invoices"]}}],
    }


def test_egress_gateway_with_passthrough_spares_its_connections(route: Route) -> None:
    (rule,) = route(gateway=replace(ISTIOCTL_EGRESS, passthrough=True)).policy("route-callers")["spec"]["rules"]
    assert rule["from"] == [{"source": {"principals": ["*"], "notPrincipals": [CURL]}}]


def test_route_comes_after_admission_and_encryption(route: Route) -> None:
    stack = route()
    originate = "DestinationRule route-originate-mtls"
    callers = f"AuthorizationPolicy {stack.marked('route-callers')}"
    assert stack.comes_after(originate, callers), "further workloads could use the credential"
    assert stack.comes_after("VirtualService route-route", originate), "requests would leave without a certificate"


def test_route_leads_through_the_given_egress_gateway(route: Route) -> None:
    stack = route(gateway=HELM_EGRESS)
    assert stack.one("Gateway", "route-gateway")["spec"]["selector"] == HELM_EGRESS.selector
    originate = stack.one("DestinationRule", "route-originate-mtls")
    assert originate["spec"]["workloadSelector"] == {"matchLabels": HELM_EGRESS.selector}
    to_gateway = stack.one("DestinationRule", "route-to-gateway")
    assert to_gateway["spec"]["host"] == "way-out.egress.svc.cluster.local"
    assert {rule["metadata"]["namespace"] for rule in (originate, to_gateway)} == {"egress"}
    policy = stack.policy("route-callers")
    assert (policy["metadata"]["namespace"], policy["spec"]["selector"]["matchLabels"]) == (
        "egress",
        HELM_EGRESS.selector,
    )
    assert stack.one("ServiceEntry", "route-service-entry")["spec"]["exportTo"] == [".", "egress"]
    service = stack.one("VirtualService", "route-route")["spec"]
    assert service["exportTo"] == [".", "egress"]
    assert service["http"][0]["route"][0]["destination"]["host"] == "way-out.egress.svc.cluster.local"


def test_hosts_share_no_object(deploy: Deploy) -> None:
    def program() -> None:
        EgressRoute("orders", arguments())
        EgressRoute("api", arguments(host="api", domain="api.partner.example"))

    stack = deploy(program)
    places = [(made["kind"], made["metadata"]["namespace"], made["metadata"]["name"]) for made in stack.objects()]
    assert len(places) == 12
    assert len(set(places)) == len(places)
    rules = [stack.one("DestinationRule", f"{name}-to-gateway")["spec"] for name in ("orders", "api")]
    assert [rule["subsets"][0]["name"] for rule in rules] == ["mtls-orders", "mtls-api"], "the rules are merged"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"domain": "*.example.com"}, "domain '*.example.com': not a domain name"),
        ({"domain": "192.0.2.1"}, "domain '192.0.2.1': an IP address"),
        ({"port": 80}, "port 80: the port at which callers ask for the host in plain HTTP"),
        ({"port": "443"}, "port: not a plain number, but str"),
        ({"caller_namespaces": ["*"]}, "caller_namespaces '*': not a DNS label"),
        ({"caller_namespaces": "logistics"}, "caller_namespaces: not a list, but str"),
    ],
)
def test_argument_that_istio_would_misread_is_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(pulumi.RunError, match=re.escape(message)):
        arguments(**changed)
