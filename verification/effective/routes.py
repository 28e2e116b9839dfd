"""The promises that a host's methods and paths lead to its Service alone, and that nothing else does."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

from components import path_encoding
from components.demo import HTTPBIN, HTTPBIN_PORT
from proxies import matchers, rbac
from proxies.dump import Chain, Dump, Target, virtual_host
from proxies.matchers import Peer, Request
from verification.checks import Check, Skipped
from verification.context import HostContext
from verification.effective.requests import METHODS, UNKNOWN_PATH, check_judged, naming

_PROMISE = "the ingress gateway's proxies serve exactly the declared methods and paths, by the host's Service"
_WAYS = "nothing else at the ingress gateway leads to the host's Service"
_ANY, _ENCODED = "/*", "..%2fverification"


@dataclass(frozen=True)
class Declared:
    """What a host declares.

    table: name of the route configuration of its Gateway
    service: DNS name of its Service
    client: an admitted identity; empty if it admits none
    """

    domain: str
    table: str
    service: str
    port: int
    methods: tuple[str, ...]
    paths: tuple[str, ...]
    client: str = ""

    @classmethod
    def of(cls, host: HostContext) -> "Declared":
        """Return what a host declares."""
        given, target = host.settings.service, host.stack.outputs.target
        namespace, _, name = host.output.gateway.partition("/")
        own = target.namespace if target else ""
        return cls(
            host.domain,
            f"https.443.mtls.{name}.{namespace}",
            f"{given.name}.{given.namespace}.svc.cluster.local" if given else f"{HTTPBIN}.{own}.svc.cluster.local",
            given.port if given else HTTPBIN_PORT,
            tuple(host.settings.methods),
            tuple(host.settings.paths),
            next(iter(host.output.clients.values()), ""),
        )

    @property
    def upstream(self) -> str:
        """The cluster of its Service."""
        return f"outbound|{self.port}||{self.service}"

    def allows(self, path: str) -> bool:
        """Return whether a path is one that the host serves."""
        if _ANY in self.paths:
            return True
        prefixed = any(each.endswith(_ANY) and path.startswith(each.removesuffix("*")) for each in self.paths)
        return path in self.paths or (prefixed and "%2f" not in path)


def check(host: HostContext) -> Check:
    """Return the check of a host's own way."""
    expected = "by the host's own Gateway, and by no rule of any object otherwise, in any ready replica"
    return host.check(_PROMISE, expected, partial(requests_reach_the_service, host), _look(host))


def check_further_ways(host: HostContext) -> Check:
    """Return the check of further ways to a host's Service."""
    expected = "no further route or filter chain, at any port, in any ready replica"
    return host.check(_WAYS, expected, partial(nothing_else_leads_there, host), _look(host))


def requests_reach_the_service(host: HostContext) -> str:
    """Judge requests by methods and paths, declared or not, by the filters and routes of each replica."""
    declared = Declared.of(host)
    says = f"{' '.join(declared.methods)} {' '.join(declared.paths)} by {declared.upstream}"
    return host.ingress_dumps.judge(partial(problems, declared=declared), says)


def nothing_else_leads_there(host: HostContext) -> str:
    """Look for further routes and filter chains of each replica that lead to the Service."""
    declared = Declared.of(host)
    served = (HostContext(host.stack, name) for name in host.stack.settings.served)
    own = {(each.table, each.domain) for each in map(Declared.of, served)}
    attacker = host.stack.attackers.get("target")
    ways = partial(further_ways, service=declared.service, own=own, attack=attacker.name if attacker else "")
    if host.settings.service is None:
        return host.ingress_dumps.judge(ways, "none")
    answers = host.ingress_dumps
    if found := sorted({way for dump in answers.dumps.values() for way in ways(dump)}):
        raise Skipped(f"the Service is your own, and is also served otherwise: {'; '.join(found[:3])}")
    return answers.judge(ways, "none")


def problems(dump: Dump, declared: Declared) -> Iterator[str]:
    """Yield how a replica serves requests unlike a host declares."""
    named = naming(dump, declared.domain)
    if not named:
        yield f"has no filter chain for {declared.domain}"
    for served in named:
        chain = served.chain
        if chain.keeps_dots and path_encoding.is_misreadable(declared.paths):
            yield "compares paths without resolving their dot segments (pathNormalization NONE)"
        if chain.route != declared.table:
            yield f"has another filter chain for {declared.domain}: {chain.route or 'of no Gateway'}"
            continue
        targets = virtual_host(dump.routes.get(chain.route, {}), declared.domain)
        if not targets:
            yield f"has no route for {declared.domain}"
        for each in targets:
            yield from _target(each, declared)
            if chain.is_left_out(each):
                yield f"replaces the policies of a route, by {_object(each)}"
        yield from _requests(served.request(declared.domain, declared.domain), chain, targets, declared)
    check_judged((served.chain for served in named), Request(Peer(), declared.domain, server_name=declared.domain))


def _target(target: Target, declared: Declared) -> Iterator[str]:
    for name in sorted((target.upstreams | target.mirrors) - {declared.upstream}):
        yield f"leads to {name}, by {_object(target)}"
    if target.rewrites:
        yield f"rewrites requests ({', '.join(sorted(target.rewrites))}), by {_object(target)}"


def _requests(request: Request, chain: Chain, targets: tuple[Target, ...], declared: Declared) -> Iterator[str]:
    peer = Peer.of(declared.client or "spiffe://verification.invalid/client")
    method, path = declared.methods[0], _sample(declared.paths[0])
    asked = replace(request, peer=peer)
    named_methods, named_paths = rbac.methods_and_paths(chain.rbac, asked)
    for each in declared.methods:
        if declared.client and not _is_served(replace(asked, method=each, path=path), chain, targets):
            yield f"refuses {each} {path}"
    for each in declared.paths:
        if declared.client and not _is_served(replace(asked, method=method, path=_sample(each)), chain, targets):
            yield f"refuses {method} {_sample(each)}"
    if not declared.client:
        return  # nobody is admitted, whatever they ask for
    for each in sorted({*METHODS, *named_methods} - {*declared.methods}):
        if _is_served(replace(asked, method=each, path=path), chain, targets):
            yield f"serves {each} {path}"
    for each in sorted({*_near(declared), *named_paths}):
        if not declared.allows(each) and _is_served(replace(asked, method=method, path=each), chain, targets):
            yield f"serves {method} {each}"


def _is_served(request: Request, chain: Chain, targets: tuple[Target, ...]) -> bool:
    """Return whether a request may reach an upstream."""
    if rbac.admits(chain.rbac, request) is False:
        return False
    for target in targets:
        takes = matchers.route(target.match, request)
        if takes is not False and target.upstreams:
            return True
        if takes:
            return False
    return False


def _sample(path: str) -> str:
    return f"{path.removesuffix('*')}verification" if path.endswith(_ANY) else path


def _near(declared: Declared) -> Iterator[str]:
    """Yield paths close to those that a host serves."""
    yield from ("/", UNKNOWN_PATH)
    for path in declared.paths:
        yield f"{path.removesuffix(_ANY)}x"
        if path.endswith(_ANY):
            yield f"{path.removesuffix('*')}{_ENCODED}"


def further_ways(dump: Dump, service: str, own: set[tuple[str, str]], attack: str = "") -> Iterator[str]:
    """Yield the ways to a Service but those by the stack's own route configurations and domains.

    attack: the namespace in which this run deploys routes of its own for a while
    """
    for listener in dump.listeners:
        for chain in (*listener.chains, *filter(None, [listener.default])):
            names = f" of {', '.join(sorted(chain.server_names))}" if chain.server_names else ""
            where = f"listener {listener.name}{names}"
            if any(_is_of(name, service) for name in chain.forwards):
                yield f"{where} forwards connections to it"
            for domain, targets in (dump.routes.get(chain.route) or chain.own_routes).items():
                for each in targets:
                    is_known = (chain.route, domain.partition(":")[0]) in own or _namespace(each) == (attack or None)
                    if not is_known and _leads_to(each, service):
                        yield f"{where} leads requests for {domain} to it, by {_object(each)}"


def _leads_to(target: Target, service: str) -> bool:
    return any(_is_of(name, service) for name in target.upstreams | target.mirrors)


def _is_of(upstream: str, service: str) -> bool:
    return upstream.rpartition("|")[2] == service


def _namespace(target: Target) -> str:
    """Return the namespace of the object that makes a route; empty if none of Istio does."""
    return target.made_by.partition("/namespaces/")[2].partition("/")[0]


def _object(target: Target) -> str:
    namespace, _, rest = target.made_by.partition("/namespaces/")[2].partition("/")
    return f"{rest.partition('/')[0]} {namespace}/{rest.partition('/')[2]}" if rest else "no object of Istio"


def _look(host: HostContext) -> str:
    return f"target cluster: istioctl proxy-config routes -n {host.gateway.namespace} svc/{host.gateway.name}"
