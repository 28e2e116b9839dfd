"""Hosts that somebody else has already, in the clusters where the stack is to have them.

Of two Gateways that serve one host on one port, Istio obeys the older one; a host goes before the wildcard that covers
it, so that a Gateway for `*.example.com` may stay beside one for `a.example.com`, but a route of it for that very host
would get no more requests. Sidecars see one ServiceEntry and one VirtualService for a host. Kyma refuses an APIRule for
a host that any VirtualService has.

What the stack deployed before stays: who comes later is only told of, and is in the way of no `pulumi up`, nor of
`pulumi destroy --run-program`, which no program can tell from an update. A domain that goes from one host of the stack
to another one is refused: both would have it until the end of the `pulumi up`, which deletes last.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping

from clusters.cluster import Cluster
from clusters.routes import MESH, Route, routes
from components.istio_gateway import IstioGateway
from components.ownership import OWNER_LABEL
from settings import ConfigError

_HTTPS = 443
# What the components call the objects of a host.
_NAMES = {
    "APIRule": ("{}",),
    "Gateway": ("kyma-mtls-gateway-{}", "istio-egressgateway-{}"),
    "ServiceEntry": ("{}",),
    "VirtualService": ("{}", "direct-{}-through-egress-gateway"),
}

Claims = Iterator[tuple[str, Route]]


def of_target(
    cluster: Cluster, gateway: IstioGateway, domains: Mapping[str, str], owner: str | None, *, kyma: bool
) -> tuple[str, ...]:
    """Check the domains of hosts, by name, in the cluster that is to serve them; see `_judge`."""
    return _judge(cluster, domains, owner, _at_ingress(cluster, gateway, kyma=kyma)) if domains else ()


def of_client(
    cluster: Cluster, gateway: IstioGateway, domains: Mapping[str, str], owner: str | None, callers: Collection[str]
) -> tuple[str, ...]:
    """Check the domains of hosts, by name, in a cluster that calls them from these namespaces; see `_judge`."""
    seen_by = {gateway.namespace, *callers}
    return _judge(cluster, domains, owner, _at_egress(cluster, gateway, seen_by)) if domains else ()


def _judge(
    cluster: Cluster, domains: Mapping[str, str], owner: str | None, claims: Iterable[tuple[str, Route]]
) -> tuple[str, ...]:
    """Raise ConfigError if others have domains that the stack, known by `owner`, has not; tell of those that both have.

    A domain that another host of the stack has is refused, too.

    owner: None for a stack that has deployed nothing yet
    """
    found: dict[str, dict[str, Route]] = {}
    for domain, route in claims:
        found.setdefault(domain, {})[str(route)] = route
    taken: list[str] = []
    shared: list[str] = []
    for name, domain in domains.items():
        claimants = found.get(domain, {}).values()
        own = [route for route in claimants if _is_own(route, owner)]
        is_kept = any(is_named_for(name, route.kind, route.name) for route in own)
        others = [_called(route) for route in claimants if route not in own]
        if own and not is_kept:
            what = (
                f"has {domain} already, in {_listed(map(str, own))} of another host of this stack; remove that by one "
                "`pulumi up`, and add this by the next"
            )
        elif others:
            what = f"has {domain} already, in {_listed(others)}; choose another one, or remove what has it"
        else:
            continue
        (shared if is_kept else taken).append(str(cluster.problem(what, f"hosts.{name}.domain")))
    if taken:
        raise ConfigError(*taken)
    return tuple(shared)


def is_named_for(host: str, kind: str, name: str) -> bool:
    """Tell whether a host of a stack has objects of this kind and name."""
    return name in (pattern.format(host) for pattern in _NAMES[kind])


def _at_ingress(cluster: Cluster, gateway: IstioGateway, *, kyma: bool) -> Claims:
    rules = {rule.place: rule for rule in routes(cluster, "APIRule")}
    for rule in rules.values():
        yield from ((host, rule) for host in rule.hosts)
    serving = _serving(cluster, gateway)
    yield from _served(serving)
    for route in routes(cluster, "VirtualService"):
        if kyma or (route.gateways & serving.keys() and route.seen_in({gateway.namespace})):
            maker = rules.get(route.api_rule, route)
            yield from ((host, maker) for host in route.hosts)


def _at_egress(cluster: Cluster, gateway: IstioGateway, seen_by: Collection[str]) -> Claims:
    serving = _serving(cluster, gateway)
    yield from _served(serving)
    for kind in ("ServiceEntry", "VirtualService"):
        for route in routes(cluster, kind):
            if route.seen_in(seen_by) and route.gateways & {MESH, *serving}:
                yield from ((host, route) for host in route.hosts)


def _serving(cluster: Cluster, gateway: IstioGateway) -> dict[str, Route]:
    """Return the Gateways that open the port of the stack's hosts on a gateway."""
    found = [route for route in routes(cluster, "Gateway") if route.selects(gateway.labels)]
    return {route.place: route for route in found if route.served(_HTTPS)}


def _served(serving: Mapping[str, Route]) -> Claims:
    for route in serving.values():
        yield from ((host, route) for host in route.served(_HTTPS))


def _is_own(route: Route, owner: str | None) -> bool:
    return owner is not None and route.labels.get(OWNER_LABEL) == owner


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def _called(route: Route) -> str:
    return f"{route} of another stack" if OWNER_LABEL in route.labels else str(route)
