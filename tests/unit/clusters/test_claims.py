"""Claims: which objects outside the stack claim a host, and which only look like it."""

from typing import Any

import pytest

from clusters import claims
from components.ownership import OWNER_LABEL, Owner
from settings import ConfigError
from tests.unit.facts import ISTIOCTL_EGRESS, ISTIOCTL_INGRESS
from tests.unit.fakes import FakeCluster, fake_cluster

DOMAIN = "orders.example.com"
DOMAINS = {"orders": DOMAIN}
OURS = "0a1b"
PATHS = {
    "APIRule": "/apis/gateway.kyma-project.io/v2/apirules",
    "DestinationRule": "/apis/networking.istio.io/v1/destinationrules",
    "Gateway": "/apis/networking.istio.io/v1/gateways",
    "Ingress": "/apis/networking.k8s.io/v1/ingresses",
    "ServiceEntry": "/apis/networking.istio.io/v1/serviceentries",
    "VirtualService": "/apis/networking.istio.io/v1/virtualservices",
}
RULE_OF_ROUTE = "apirule.gateway.kyma-project.io/v1beta1"

Item = tuple[str, dict[str, Any]]


def item(kind: str, name: str = "edge", owner: str = "", labels: dict[str, str] | None = None, **spec: Any) -> Item:
    """Return an object in namespace shop."""
    marks = (labels or {}) | ({OWNER_LABEL: owner} if owner else {})
    return kind, {"metadata": {"namespace": "shop", "name": name, "labels": marks}, "spec": spec}


def gateway(*hosts: str, port: int = 443, istio: str = "ingressgateway", name: str = "edge", owner: str = "") -> Item:
    """Return a Gateway with one server."""
    servers = [{"port": {"number": port, "protocol": "HTTPS"}, "hosts": list(hosts)}]
    return item("Gateway", name, owner, selector={"istio": istio}, servers=servers)


def route(*gateways: str, host: str = DOMAIN, name: str = "route", owner: str = "", **more: Any) -> Item:
    """Return a VirtualService."""
    return item("VirtualService", name, owner, hosts=[host], gateways=list(gateways), **more)


def entry(*hosts: str, owner: str = "", **more: Any) -> Item:
    """Return a ServiceEntry."""
    return item("ServiceEntry", "entry", owner, hosts=list(hosts), **more)


def ingress(host: str, annotation: str = "", **more: Any) -> Item:
    """Return an Ingress that serves a host by TLS."""
    kind, made = item("Ingress", "web", tls=[{"hosts": [host]}], rules=[{"host": host}], **more)
    made["metadata"]["annotations"] = {"kubernetes.io/ingress.class": annotation}
    return kind, made


def rule(host: str, namespace: str = "istio-system") -> Item:
    """Return a DestinationRule."""
    kind, made = item("DestinationRule", "tls", host=host)
    made["metadata"]["namespace"] = namespace
    return kind, made


def cluster(*items: Item) -> FakeCluster:
    """Return a cluster with these objects."""
    found = {path: {"items": [it for kind, it in items if PATHS[kind] == path]} for path in PATHS.values()}
    return fake_cluster(found)


def line(*claimants: str) -> str:
    return (
        f"kyma-mtls:hosts.orders.domain: cluster https://target has {DOMAIN} already, in {', '.join(claimants)}; "
        "choose another domain, or remove it there"
    )


def at_target(*items: Item, owner: str | None = OURS, kyma: bool = False) -> list[str]:
    """Return the lines of the error in a target with these objects."""
    return refused(lambda: claims.of_target(cluster(*items), ISTIOCTL_INGRESS, DOMAINS, Owner(owner), kyma=kyma))


def at_client(*items: Item, owner: str | None = OURS) -> list[str]:
    """Return the lines of the error in a client with these objects, where namespace logistics has callers."""
    seen_by = ["istio-system", "logistics"]
    return refused(lambda: claims.of_client(cluster(*items), ISTIOCTL_EGRESS, DOMAINS, Owner(owner), seen_by))


def refused(check: Any) -> list[str]:
    try:
        assert check() == ()
    except ConfigError as error:
        return str(error).splitlines()
    return []


@pytest.mark.parametrize(
    ("items", "claimants"),
    [
        ([gateway(DOMAIN)], ["Gateway shop/edge"]),
        ([gateway(f"./{DOMAIN}")], ["Gateway shop/edge"]),
        ([gateway("other.example.com", f"*/{DOMAIN}")], ["Gateway shop/edge"]),
        ([gateway(DOMAIN, owner="another")], ["Gateway shop/edge of another stack"]),
        ([gateway("*.example.com"), route("edge")], ["VirtualService shop/route"]),
        ([gateway("*"), route("./edge")], ["VirtualService shop/route"]),
        ([gateway("*"), route("edge.shop.svc.cluster.local")], ["VirtualService shop/route"]),
        ([gateway("*"), route("mesh", "shop/edge")], ["VirtualService shop/route"]),
        ([item("APIRule", "rule", hosts=[DOMAIN])], ["APIRule shop/rule"]),
        ([gateway(DOMAIN), route("edge")], ["Gateway shop/edge", "VirtualService shop/route"]),
        ([gateway(DOMAIN, port=8443)], ["Gateway shop/edge"]),
        ([ingress(DOMAIN, ingressClassName="istio")], ["Ingress shop/web"]),
        ([ingress(DOMAIN, annotation="istio")], ["Ingress shop/web"]),
        ([ingress(DOMAIN, ingressClassName="nginx")], []),
        ([ingress("*.example.com", ingressClassName="istio")], []),
        ([gateway("*.example.com", "example.com")], []),
        ([gateway(DOMAIN, port=80), route("edge")], []),
        ([gateway(DOMAIN, istio="another"), route("edge")], []),
        ([gateway("*"), route("edge", host="*.example.com")], []),
        ([gateway("*"), route("edge", exportTo=["."])], []),
        ([gateway("*"), route("other/edge")], []),
        ([route(), route("mesh", name="both")], []),
        ([item("APIRule", "rule", hosts=["carts.example.com"])], []),
        ([entry(DOMAIN)], []),
    ],
    ids=[
        "gateway",
        "gateway-of-its-namespace",
        "gateway-of-all-namespaces",
        "another-stack",
        "route-behind-wildcard",
        "route-by-dot",
        "route-by-service-name",
        "route-also-in-mesh",
        "rule",
        "both",
        "further-port-of-the-listener",
        "ingress",
        "ingress-by-annotation",
        "ingress-of-another-class",
        "wildcard-ingress",
        "wildcard-alone",
        "port-80",
        "another-gateway",
        "wildcard-route",
        "not-exported",
        "gateway-elsewhere",
        "mesh-alone",
        "rule-for-another",
        "service-entry",
    ],
)
def test_claim_in_the_target_is_refused(items: list[Item], claimants: list[str]) -> None:
    assert at_target(*items) == ([line(*claimants)] if claimants else [])


def test_claim_by_any_virtual_service_is_refused_on_kyma() -> None:
    assert at_target(route("mesh"), kyma=True) == [line("VirtualService shop/route")]
    assert at_target(route("mesh", host="*.example.com"), kyma=True) == []


def test_claim_by_a_virtual_service_of_kyma_is_its_api_rules() -> None:
    made = item("VirtualService", "rule-x1", labels={RULE_OF_ROUTE: "orders.shop"}, hosts=[DOMAIN], gateways=["a/b"])
    named = {"apirule.gateway.kyma-project.io/name": "orders", "apirule.gateway.kyma-project.io/namespace": "shop"}
    made_of_late = item("VirtualService", "rule-x1", labels=named, hosts=[DOMAIN], gateways=["a/b"])
    for virtual_service in (made, made_of_late):
        rule = item("APIRule", "orders", OURS, hosts=[DOMAIN])
        assert at_target(rule, virtual_service, kyma=True) == [], "the stack's own, from the last `pulumi up`"
        foreign = item("APIRule", "orders", hosts=["orders"])
        assert at_target(foreign, virtual_service, kyma=True) == [line("APIRule shop/orders")], "its host in full"


@pytest.mark.parametrize(
    ("items", "claimants"),
    [
        ([entry(DOMAIN)], ["ServiceEntry shop/entry"]),
        ([entry(DOMAIN, exportTo=["logistics"])], ["ServiceEntry shop/entry"]),
        ([entry(DOMAIN, exportTo=["istio-system"])], ["ServiceEntry shop/entry"]),
        ([route()], ["VirtualService shop/route"]),
        ([route("mesh", exportTo=["*"])], ["VirtualService shop/route"]),
        ([gateway(DOMAIN, istio="egressgateway")], ["Gateway shop/edge"]),
        ([gateway("*", istio="egressgateway"), route("edge")], ["VirtualService shop/route"]),
        ([entry(DOMAIN, owner="another")], ["ServiceEntry shop/entry of another stack"]),
        ([rule(DOMAIN)], ["DestinationRule istio-system/tls"]),
        ([rule("*.example.com")], []),
        ([rule(DOMAIN, namespace="shop")], []),
        ([entry("*.example.com", "carts.example.com")], []),
        ([entry(DOMAIN, exportTo=[".", "elsewhere"]), route(exportTo=["~"])], []),
        ([gateway(DOMAIN), route("edge")], []),
    ],
    ids=[
        "entry",
        "entry-for-callers",
        "entry-for-gateway",
        "mesh-by-default",
        "mesh",
        "gateway",
        "route-at-gateway",
        "another-stack",
        "rule-for-gateway",
        "wildcard-rule",
        "rule-elsewhere",
        "other-hosts",
        "not-seen",
        "at-ingress",
    ],
)
def test_claim_in_a_client_is_refused(items: list[Item], claimants: list[str]) -> None:
    assert at_client(*items) == ([line(*claimants)] if claimants else [])


def own_at_target(host: str, domain: str = DOMAIN) -> tuple[Item, Item]:
    """Return a host's objects in the target on platform istio."""
    server = f"kyma-mtls-gateway-{host}"
    return gateway(domain, name=server, owner=OURS), route(server, host=domain, name=host, owner=OURS)


def own_at_client(host: str, domain: str = DOMAIN) -> tuple[Item, Item, Item]:
    """Return a host's objects in a client."""
    server, name = f"istio-egressgateway-{host}", f"direct-{host}-through-egress-gateway"
    return (
        gateway(domain, name=server, istio="egressgateway", owner=OURS),
        item("ServiceEntry", host, OURS, hosts=[domain]),
        route(server, "mesh", host=domain, name=name, owner=OURS),
    )


def test_claims_of_the_stack_itself_are_known_by_its_mark() -> None:
    own = own_at_target("orders")
    assert at_target(*own) == []
    assert at_client(*own_at_client("orders")) == []
    others = ("Gateway shop/kyma-mtls-gateway-orders of another stack", "VirtualService shop/orders of another stack")
    assert at_target(*own, owner=None) == [line(*others)], "a new stack has none"


def moved(*claimants: str) -> list[str]:
    return [
        f"kyma-mtls:hosts.orders.domain: cluster https://target has {DOMAIN} already, in {', '.join(claimants)} of "
        "another host of this stack; remove that host by one `pulumi up`, and add this one by the next"
    ]


@pytest.mark.parametrize("before", [[], ["carts.example.com"]], ids=["renamed", "swapped"])
def test_domain_does_not_move_from_one_host_to_another_in_one_update(before: list[str]) -> None:
    at_target_before = [made for domain in before for made in own_at_target("orders", domain)]
    at_client_before = [made for domain in before for made in own_at_client("orders", domain)]
    names = "Gateway shop/kyma-mtls-gateway-carts", "VirtualService shop/carts"
    assert at_target(*own_at_target("carts"), *at_target_before) == moved(*names)
    assert at_target(item("APIRule", "carts", OURS, hosts=[DOMAIN]), kyma=True) == moved("APIRule shop/carts")
    names_of_client = "ServiceEntry shop/carts", "VirtualService shop/direct-carts-through-egress-gateway"
    expected = moved("Gateway shop/istio-egressgateway-carts", *names_of_client)
    assert at_client(*own_at_client("carts"), *at_client_before) == expected


def test_host_may_get_another_domain_even_by_interrupted_updates() -> None:
    old, new = own_at_target("orders", "old.example.com"), own_at_target("orders")
    for found in (old, new, (old[0], new[1]), (new[0], old[1])):
        assert at_target(*found) == []
    old_at_client, new_at_client = own_at_client("orders", "old.example.com"), own_at_client("orders")
    assert at_client(*old_at_client) == at_client(*new_at_client[:1], *old_at_client[1:]) == []


def test_claim_to_a_host_that_the_stack_has_is_a_warning() -> None:
    own = own_at_target("orders")
    both = cluster(*own, gateway(DOMAIN, name="later"))
    assert claims.of_target(both, ISTIOCTL_INGRESS, DOMAINS, Owner(OURS), kyma=False) == (line("Gateway shop/later"),)
    another = DOMAINS | {"carts": "carts.example.com"}
    more = cluster(*own, gateway(DOMAIN, "carts.example.com", name="later"))
    with pytest.raises(ConfigError) as caught:
        claims.of_target(more, ISTIOCTL_INGRESS, another, Owner(OURS), kyma=False)
    (only,) = str(caught.value).splitlines()
    assert only.startswith("kyma-mtls:hosts.carts.domain: "), "a domain that it is yet to get is refused"


def test_cluster_without_hosts_gets_no_request() -> None:
    nothing = fake_cluster()
    assert claims.of_target(nothing, ISTIOCTL_INGRESS, {}, Owner(OURS), kyma=True) == ()
    assert claims.of_client(nothing, ISTIOCTL_EGRESS, {}, Owner(OURS), []) == ()
    assert nothing.asked == []


def test_hosts_of_one_domain_are_in_nobodys_way() -> None:
    """A partner's domain at two ports: a client has the route of one of them, and may change over to the other."""
    found = cluster(item("ServiceEntry", "orders", OURS, hosts=[DOMAIN], exportTo=["*"]))
    domains = {"orders": DOMAIN, "orders-too": DOMAIN}
    assert claims.of_client(found, ISTIOCTL_EGRESS, domains, Owner(OURS), ["logistics"]) == ()
