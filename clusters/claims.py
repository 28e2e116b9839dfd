"""Claims: detects hosts that objects outside this stack already claim in a cluster.

Of two Gateways that serve one host on one port, Istio uses the older one; on two ports of one listener, Envoy refuses
each change of the listener. An exact host precedes a wildcard: a Gateway
for `*.example.com` may stay beside one for `a.example.com`, but its route for that very host would get no more requests
(https://istio.io/latest/docs/reference/config/networking/gateway/). Sidecars use one ServiceEntry and one
VirtualService of a host. Kyma refuses an APIRule for a host that any VirtualService has.

A claim is an error where the stack does not serve the host yet, and a warning where it does: a later claim must block
neither `pulumi up` nor `pulumi destroy --run-program`, which a program cannot tell from an update. A domain that moves
from one host of the stack to another is an error: both would have it until the end of the `pulumi up`, which deletes
last.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from clusters.cluster import Cluster
from clusters.concurrency import parallel
from clusters.ingresses import tls_hosts
from clusters.routes import MESH, Route, routes
from components.istio_gateway import IstioGateway
from components.ownership import Owner, Ownership
from settings import ConfigError

# Names that the components give to the objects of a host.
_NAMES = {
    "APIRule": ("{}",),
    "DestinationRule": (),
    "Gateway": ("kyma-mtls-gateway-{}", "istio-egressgateway-{}"),
    "Ingress": (),
    "ServiceEntry": ("{}",),
    "VirtualService": ("{}", "direct-{}-through-egress-gateway", "direct-{}-from-egress-gateway"),
}

Claims = Iterator[tuple[str, Route]]


def of_target(
    cluster: Cluster, gateway: IstioGateway, domains: Mapping[str, str], owner: Owner, *, kyma: bool
) -> tuple[str, ...]:
    """Return warnings about claims to the domains of hosts, by name, in the cluster that serves them.

    kyma: whether APIRules are the stack's routes, which Kyma refuses for a host of any VirtualService

    Raise ConfigError for domains that the stack does not have there yet.
    """
    return _judge(cluster, domains, owner, _at_ingress(cluster, gateway, kyma=kyma)) if domains else ()


def of_client(
    cluster: Cluster, gateway: IstioGateway, domains: Mapping[str, str], owner: Owner, seen_by: Collection[str]
) -> tuple[str, ...]:
    """Return warnings about claims to the domains of hosts, by name, in a cluster that calls them.

    seen_by: namespaces whose Pods call or forward the requests

    Raise ConfigError for domains that the stack does not have there yet.
    """
    return _judge(cluster, domains, owner, _at_egress(cluster, gateway, seen_by)) if domains else ()


def _judge(
    cluster: Cluster, domains: Mapping[str, str], owner: Owner, claims: Iterable[tuple[str, Route]]
) -> tuple[str, ...]:
    found: dict[str, dict[str, Route]] = {}
    for domain, route in claims:
        found.setdefault(domain, {})[str(route)] = route
    errors: list[str] = []
    warnings: list[str] = []
    for name, domain in domains.items():
        alike = [each for each, same in domains.items() if same == domain]  # a partner's, at two ports
        claimants = found.get(domain, {}).values()
        own = [route for route in claimants if owner.owns(route.metadata)]
        outside = [_called(route, owner) for route in claimants if route not in own]
        has_domain = any(is_named_for(each, route.kind, route.place.name) for route in own for each in alike)
        if own and not has_domain:
            problem = (
                f"has {domain} already, in {_listed(map(str, own))} of another host of this stack; remove that host by "
                "one `pulumi up`, and add this one by the next"
            )
        elif outside:
            problem = f"has {domain} already, in {_listed(outside)}; choose another domain, or remove it there"
        else:
            continue
        (warnings if has_domain else errors).append(str(cluster.problem(problem, f"hosts.{name}.domain")))
    if errors:
        raise ConfigError(*errors)
    return tuple(warnings)


def is_named_for(host: str, kind: str, name: str) -> bool:
    """Return whether the components give objects of this kind this name for a host."""
    return name in (pattern.format(host) for pattern in _NAMES[kind])


def _at_ingress(cluster: Cluster, gateway: IstioGateway, *, kyma: bool) -> Claims:
    api_rules, gateways, virtual_services, ingresses = parallel(
        [*_lists(cluster, "APIRule", "Gateway", "VirtualService"), lambda: [*tls_hosts(cluster, gateway)]]
    )
    rules = {rule.place: rule for rule in api_rules}
    for rule in rules.values():
        yield from ((host, rule) for host in rule.hosts)
    serving = _serving(gateways, gateway)
    yield from _served(serving, gateway)
    yield from ingresses
    for route in virtual_services:
        if kyma or (route.gateways & serving.keys() and route.seen_in({gateway.namespace})):
            maker = rules.get(route.api_rule, route) if route.api_rule else route
            yield from ((host, maker) for host in route.hosts)


def _at_egress(cluster: Cluster, gateway: IstioGateway, seen_by: Collection[str]) -> Claims:
    gateways, rules, entries, virtual_services = parallel(
        _lists(cluster, "Gateway", "DestinationRule", "ServiceEntry", "VirtualService")
    )
    serving = _serving(gateways, gateway)
    yield from _served(serving, gateway)
    for rule in rules:
        if rule.place.namespace == gateway.namespace:
            yield str(rule.spec.get("host", "")), rule
    for route in (*entries, *virtual_services):
        if route.seen_in(seen_by) and route.gateways & {MESH, *serving}:
            yield from ((host, route) for host in route.hosts)


def _lists(cluster: Cluster, *kinds: str) -> list[Callable[[], Any]]:
    return [partial(routes, cluster, kind) for kind in kinds]


def _serving(gateways: Iterable[Route], gateway: IstioGateway) -> dict[str, Route]:
    """Return the Gateways, by NAMESPACE/NAME, that serve the port of the stack's hosts on the Pods of a gateway."""
    found = [route for route in gateways if route.selects(gateway.labels)]
    return {str(route.place): route for route in found if route.served(gateway.server_ports)}


def _served(serving: Mapping[str, Route], gateway: IstioGateway) -> Claims:
    for route in serving.values():
        yield from ((host, route) for host in route.served(gateway.server_ports))


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def _called(route: Route, owner: Owner) -> str:
    is_another_stacks = owner.ownership(route.metadata) is Ownership.ANOTHER_STACK
    return f"{route} of another stack" if is_another_stacks else str(route)
