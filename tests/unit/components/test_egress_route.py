"""How a host is reached from a client cluster: each fault of the tutorial put right."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pulumi
import pytest

from components.authorization import Identities
from components.egress_route import EgressRoute, EgressRouteArgs, Refusal
from tests.unit.conftest import Deploy, Recorder
from tests.unit.facts import HELM_EGRESS, ISTIOCTL_EGRESS

DOMAIN, OTHER = "orders.example.com", "other.example.com"
CURL = "*/ns/mtls/sa/curl"
ENTRY = "orders.mtls.kyma-mtls.internal"
REFUSAL = Refusal(403, "orders.example.com does not admit client a")

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
    policy = route().marked_one("DestinationRule", "route-originate-mtls")["spec"]["trafficPolicy"]
    (port,) = policy["portLevelSettings"]
    assert port["port"] == {"number": 443}
    assert port["tls"] == {
        "mode": "MUTUAL",
        "credentialName": "client-credential-mtls",
        "sni": DOMAIN,
        "subjectAltNames": [DOMAIN],
    }
    assert policy["tls"] == port["tls"], "requests at another port, before the route follows, would be plain text"


def test_rule_for_the_server_stays_while_the_domain_changes(route: Route) -> None:
    """Else the egress gateway would send plain text to the old server until its route follows."""
    rules = [route(domain=domain).marked_one("DestinationRule", "route-originate-mtls") for domain in (DOMAIN, OTHER)]
    assert [rule["spec"]["host"] for rule in rules] == [DOMAIN, OTHER]
    assert rules[0]["metadata"]["name"] != rules[1]["metadata"]["name"]


def test_mutual_tls_is_originated_by_the_egress_gateway_only(route: Route) -> None:
    rule = route().marked_one("DestinationRule", "route-originate-mtls")
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
    assert rule["spec"]["host"] == ENTRY
    assert "subsets" not in rule["spec"], "istioctl analyze would look for them in the namespace of the route"
    (port,) = rule["spec"]["trafficPolicy"]["portLevelSettings"]
    assert port["port"] == {"number": 443}
    assert port["tls"] == {"mode": "ISTIO_MUTUAL", "sni": DOMAIN}


def test_idle_connections_end_before_a_gateway_that_has_changed_ends_them(route: Route) -> None:
    stack = route(port=8443)
    to_gateway = stack.one("DestinationRule", "route-to-gateway")
    rules = [each["spec"] for each in (to_gateway, stack.marked_one("DestinationRule", "route-originate-mtls"))]
    # Settings of a port replace those for all ports.
    ports = [port for rule in rules for port in rule["trafficPolicy"]["portLevelSettings"]]
    assert [port["port"]["number"] for port in ports] == [443, 8443]
    for port in ports:
        assert port["connectionPool"] == {"http": {"idleTimeout": "20s"}}, "Istio's gateways wait 30 s at least"


def test_entry_is_the_egress_gateways_pods_under_a_host_of_the_stacks_own(route: Route) -> None:
    stack = route(caller_namespaces=["logistics", "invoices"])
    entry, rule = stack.one("ServiceEntry", "route-entry"), stack.one("DestinationRule", "route-to-gateway")
    assert entry["spec"]["hosts"] == [ENTRY], "rules for *.local are not for it"
    assert entry["spec"]["workloadSelector"] == {"labels": ISTIOCTL_EGRESS.selector}
    assert entry["metadata"] == {"name": "egressgateway-for-mtls-orders", "namespace": "istio-system"}, (
        "a workloadSelector selects in its own namespace only"
    )
    assert [(port["number"], port["targetPort"]) for port in entry["spec"]["ports"]] == [(443, 8443)]
    for each in (entry, rule):
        assert each["spec"]["exportTo"] == ["mtls", "logistics", "invoices"], "no other sidecar needs it"


def test_plain_http_is_routed_to_the_egress_gateway_and_from_there_to_the_server(route: Route) -> None:
    stack = route()
    callers, gateway = (stack.one("VirtualService", f"route-{name}")["spec"] for name in ("route", "to-server"))
    assert (callers["gateways"], callers["exportTo"]) == (["mesh"], ["."])
    (rule,) = callers["http"]
    assert rule["match"] == [{"port": 80}]
    (to_gateway,) = rule["route"]
    assert to_gateway["destination"] == {"host": ENTRY, "port": {"number": 443}}
    assert (gateway["gateways"], gateway["exportTo"]) == (["istio-egressgateway-orders"], ["istio-system"])
    (rule,) = gateway["http"]
    assert rule["match"] == [{"port": 443}]
    assert rule["route"] == [{"destination": {"host": DOMAIN, "port": {"number": 443}}}]
    assert "headers" not in rule


def test_partners_server_gets_no_header_of_the_mesh(route: Route) -> None:
    (rule,) = route(is_partners=True).one("VirtualService", "route-to-server")["spec"]["http"]
    removed = rule["headers"]["request"]["remove"]
    assert {"x-forwarded-client-cert", "x-forwarded-for", "x-envoy-peer-metadata"} <= set(removed)


def test_port_of_the_host_is_used_by_the_egress_gateway(route: Route) -> None:
    stack = route(port=8443)
    assert ports(stack, "server") == [(8443, "HTTPS")]
    policy = stack.marked_one("DestinationRule", "route-originate-mtls")["spec"]["trafficPolicy"]
    assert [each["port"]["number"] for each in policy["portLevelSettings"]] == [8443]
    (rule,) = stack.one("VirtualService", "route-to-server")["spec"]["http"]
    assert rule["route"][0]["destination"]["port"] == {"number": 8443}
    (server,) = stack.one("Gateway", "route-gateway")["spec"]["servers"]
    assert server["port"]["number"] == 443, "the egress gateway listens there"


@pytest.mark.parametrize(("port", "known"), [(443, [443]), (8443, [443, 8443])])
@pytest.mark.parametrize("secret", [pulumi.Output.from_input("client-credential-mtls"), REFUSAL])
def test_sidecars_know_the_host_at_each_of_its_ports_and_no_server_of_it(
    route: Route, secret: Any, port: int, known: list[int]
) -> None:
    stack = route(port=port, secret=secret)
    assert ports(stack, "service-entry") == [(80, "HTTP"), *((each, "TLS") for each in known)]
    entry = stack.one("ServiceEntry", "route-service-entry")["spec"]
    assert entry["resolution"] == "STATIC", "by DNS, Istio would take the domain's name for the server"
    assert not {"endpoints", "workloadSelector"} & entry.keys()


@pytest.mark.parametrize("namespaces", [(), ("logistics", "invoices")])
def test_host_is_seen_by_its_callers_and_its_server_by_the_egress_gateway(
    route: Route, namespaces: tuple[str, ...]
) -> None:
    stack = route(caller_namespaces=namespaces)
    entry, server = (stack.one("ServiceEntry", f"route-{name}") for name in ("service-entry", "server"))
    assert entry["spec"]["hosts"] == server["spec"]["hosts"] == [DOMAIN]
    assert entry["spec"]["exportTo"] == [".", *namespaces]
    assert stack.one("VirtualService", "route-route")["spec"]["exportTo"] == [".", *namespaces]
    assert server["spec"]["resolution"] == "DNS", "NONE would loop the gateway"
    assert (server["metadata"]["namespace"], server["spec"]["exportTo"]) == ("istio-system", ["."]), (
        "Istio merges the endpoints of entries for one host in one namespace"
    )


def test_refusal_is_the_answer_of_the_sidecars_and_opens_no_way(route: Route) -> None:
    stack = route(secret=REFUSAL)
    assert sorted(made["kind"] for made in stack.objects()) == ["ServiceEntry", "VirtualService"]
    (rule,) = stack.one("VirtualService", "route-route")["spec"]["http"]
    assert rule == {
        "match": [{"port": 80}],
        "directResponse": {"status": 403, "body": {"string": "orders.example.com does not admit client a\n"}},
    }


def ports(stack: Recorder, entry: str) -> list[tuple[int, str]]:
    """Return numbers and protocols of a ServiceEntry's ports."""
    found = stack.one("ServiceEntry", f"route-{entry}")["spec"]["ports"]
    return [(port["number"], port["protocol"]) for port in found]


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
    originate = f"DestinationRule {stack.marked('route-originate-mtls')}"
    callers = f"AuthorizationPolicy {stack.marked('route-callers')}"
    assert stack.comes_after(originate, callers), "further workloads could use the credential"
    server, route_to_server = "ServiceEntry route-server", "VirtualService route-to-server"
    assert stack.comes_after(server, originate), "requests would leave without a certificate"
    assert stack.comes_after(route_to_server, server)
    for earlier in ("service-entry", "entry"):
        assert stack.comes_after("VirtualService route-route", f"ServiceEntry route-{earlier}")
    for earlier in (route_to_server, "DestinationRule route-to-gateway"):
        assert stack.comes_after("VirtualService route-route", earlier)


def test_route_leads_through_the_given_egress_gateway(route: Route) -> None:
    stack = route(gateway=HELM_EGRESS)
    assert stack.one("Gateway", "route-gateway")["spec"]["selector"] == HELM_EGRESS.selector
    originate = stack.marked_one("DestinationRule", "route-originate-mtls")
    assert originate["spec"]["workloadSelector"] == {"matchLabels": HELM_EGRESS.selector}
    to_gateway = stack.one("DestinationRule", "route-to-gateway")
    assert to_gateway["spec"]["host"] == ENTRY
    assert {rule["metadata"]["namespace"] for rule in (originate, to_gateway)} == {"egress"}
    policy = stack.policy("route-callers")
    assert (policy["metadata"]["namespace"], policy["spec"]["selector"]["matchLabels"]) == (
        "egress",
        HELM_EGRESS.selector,
    )
    assert stack.one("ServiceEntry", "route-server")["metadata"]["namespace"] == "egress"
    assert stack.one("VirtualService", "route-to-server")["spec"]["exportTo"] == ["egress"]


def test_hosts_share_no_object(deploy: Deploy) -> None:
    def program() -> None:
        EgressRoute("orders", arguments())
        EgressRoute("api", arguments(host="api", domain="api.partner.example"))

    stack = deploy(program)
    places = [(made["kind"], made["metadata"]["namespace"], made["metadata"]["name"]) for made in stack.objects()]
    assert len(places) == 18
    assert len(set(places)) == len(places)
    rules = [stack.one("DestinationRule", f"{name}-to-gateway")["spec"] for name in ("orders", "api")]
    assert [rule["host"] for rule in rules] == [ENTRY, "api.mtls.kyma-mtls.internal"], "Istio would merge the rules"


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
