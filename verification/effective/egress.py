"""The promise that the egress gateway's proxies admit exactly the declared callers to a host."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from proxies.dump import Dump, virtual_host
from proxies.matchers import Peer, Request
from verification.checks import Check
from verification.context import ClientContext, HostContext
from verification.effective.requests import Served, account, check_judged, naming
from verification.effective.routes import further_ways

_OF_THE_MESH = ("default", "ROOTCA")


@dataclass(frozen=True)
class Way:
    """The way of callers to a host, through the egress gateway.

    callers: each NAMESPACE or NAMESPACE/SERVICEACCOUNT
    table: name of the route configuration of the host's Gateway
    """

    domain: str
    port: int
    callers: tuple[str, ...]
    table: str

    @property
    def upstream(self) -> str:
        """The cluster of the host's server."""
        return f"outbound|{self.port}||{self.domain}"

    def admits(self, peer: Peer) -> bool:
        """Return whether a peer is a declared caller, in any trust domain."""
        return any(re.fullmatch(_pattern(each), peer.identity) for each in self.callers)


def check(client: ClientContext, host: HostContext) -> Check:
    """Return the check of a client's way to a host."""
    promise = f"the egress gateway's proxies admit exactly the declared callers to {host.name}"
    gateway = client.gateway
    look = client.look(
        f"kubectl -n {gateway.namespace} get authorizationpolicies; "
        f"istioctl proxy-config routes -n {gateway.namespace} svc/{gateway.name}"
    )
    expected = "no rule of any object that admits another workload, and no further way, in any ready replica"
    return client.check(promise, expected, partial(callers_are_admitted, client, host), look, host.name)


def callers_are_admitted(client: ClientContext, host: HostContext) -> str:
    """Judge by the filters of each replica the declared callers, strangers, and whomever a rule names."""
    callers = tuple(client.output.callers)
    table = f"https.443.https.istio-egressgateway-{host.name}.{client.output.namespace}"
    way = Way(host.domain, host.port, callers, table)
    return client.egress_dumps.judge(partial(problems, way=way), ", ".join(callers))


def problems(dump: Dump, way: Way) -> Iterator[str]:
    """Yield how a replica admits or leads requests for a host unlike it is declared."""
    found = naming(dump, way.domain)
    if not found:
        yield f"has no filter chain for {way.domain}"
    for served in found:
        yield from _chain(served, dump, way)
    yield from further_ways(dump, way.domain, {(way.table, way.domain)})
    check_judged((served.chain for served in found), Request(Peer(), way.domain, server_name=way.domain))


def _chain(served: Served, dump: Dump, way: Way) -> Iterator[str]:
    chain = served.chain
    if chain.route != way.table:
        yield f"has another filter chain for {way.domain}: {chain.route or 'of no Gateway'}"
        return
    if not chain.tls.asks_for_certificate or (chain.tls.secret, chain.tls.trusts) != _OF_THE_MESH:
        yield "does not demand a certificate of the mesh"
    targets = virtual_host(dump.routes.get(chain.route, {}), way.domain)
    for name in sorted({name for each in targets for name in each.upstreams | each.mirrors} - {way.upstream}):
        yield f"leads to {name}"
    if not any(each.upstreams for each in targets):
        yield f"has no route for {way.domain}"
    if any(map(chain.is_left_out, targets)):
        yield "replaces the policies of a route"
    for field in sorted({field for each in targets for field in each.rewrites}):
        yield f"rewrites requests ({field})"
    examples, strangers = list(map(_example, way.callers)), list(_strangers(way))
    yield from served.problems(way.domain, examples, strangers, way.admits)


def _strangers(way: Way) -> Iterator[Peer]:
    yield Peer()
    yield account("kyma-mtls-verification", "default")
    for namespace in {caller.partition("/")[0] for caller in way.callers}:
        yield account(namespace, "kyma-mtls-verification")
        yield account(f"{namespace}-verification", "default")


def _example(caller: str) -> Peer:
    namespace, _, name = caller.partition("/")
    return account(namespace, name or "default")


def _pattern(caller: str) -> str:
    namespace, _, name = caller.partition("/")
    return rf"(spiffe://)?.*/ns/{re.escape(namespace)}/" + (rf"sa/{re.escape(name)}" if name else ".*")
