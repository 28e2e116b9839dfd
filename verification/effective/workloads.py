"""The promise that the sidecars of a host's workload admit the ingress gateway alone."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from functools import partial

from components.demo import HTTPBIN
from components.namespaced_name import NamespacedName
from proxies import rbac
from proxies.dump import Chain, Dump
from proxies.matchers import Peer, Request
from proxies.parts import workload_parts
from proxies.sidecars import sample
from settings import Platform
from verification.checks import Check, Failed
from verification.context import HostContext
from verification.dumps import Answers, Question
from verification.effective.requests import account, accounts, check_judged

_PROMISE = "the workload's sidecars admit the ingress gateway alone"
_LOOK = "target cluster: kubectl get authorizationpolicies -A; istioctl x authz check POD"
_NOWHERE = "BlackHoleCluster"


@dataclass(frozen=True)
class Wanted:
    """Who is admitted: the Pods of the ingress gateway, for this domain, method and path."""

    gateway: Collection[Peer]
    domain: str
    method: str
    path: str


def check(host: HostContext) -> Check:
    """Return the check of a host."""
    if not host.settings.demo and host.stack.settings.platform == Platform.ISTIO:
        return host.skipped(_PROMISE, "the workload is your own Service, to whose namespace the stack adds no policy")
    expected = "no rule of any object that admits another workload, in any sidecar that was asked"
    return host.check(_PROMISE, expected, partial(gateway_alone_is_admitted, host), _LOOK)


def gateway_alone_is_admitted(host: HostContext) -> str:
    """Judge by the filters of some sidecars the gateway, strangers, and whomever a rule names."""
    path = host.settings.paths[0]
    wanted = Wanted(
        accounts(host.ingress_gateway), host.domain, host.settings.methods[0], path.replace("/*", "/verification")
    )
    return _ask(host).judge(partial(problems, wanted=wanted), ", ".join(each.identity for each in wanted.gateway))


def problems(dump: Dump, wanted: Wanted) -> Iterator[str]:
    """Yield whom a sidecar admits, or refuses, unlike that."""
    found = [chain for each in dump.listeners for chain in (*each.chains, *filter(None, [each.default]))]
    judged = [each for each in found if _NOWHERE not in each.forwards]
    for chain in judged:
        yield from _chain(chain, wanted)
    check_judged(judged, Request(Peer(), wanted.domain))


def _chain(chain: Chain, wanted: Wanted) -> Iterator[str]:
    where = f"at port {chain.port}" if chain.port else "at further ports"
    asked = Request(Peer(), wanted.domain, wanted.method, wanted.path, port=chain.port)
    gateway = {*wanted.gateway, *_own(rbac.peers(chain.rbac, asked), wanted)}
    if chain.decodes_http and all(rbac.admits(chain.rbac, replace(asked, peer=each)) is False for each in gateway):
        yield f"refuses the ingress gateway {where}"
    if any(map(chain.is_left_out, (each for table in chain.own_routes.values() for each in table))):
        yield f"replaces the policies of a route {where}"
    strangers = {Peer(), account("kyma-mtls-verification", "default"), account("istio-system", "verification")}
    for authority in (wanted.domain, "verification.invalid"):
        request = replace(asked, authority=authority)
        for peer in sorted(_others({*strangers, *rbac.peers(chain.rbac, request)}, wanted), key=_identity):
            if rbac.admits(chain.rbac, replace(request, peer=peer)) is not False:
                yield f"admits {peer.identity or 'a peer without a certificate'} {where}"


def _own(found: Collection[Peer], wanted: Wanted) -> set[Peer]:
    """Return peers that are the ingress gateway, whose trust domain may be any."""
    endings = tuple("/ns/" + each.identity.partition("/ns/")[2] for each in wanted.gateway)
    return {each for each in found if each.identity.endswith(endings)}


def _others(found: Collection[Peer], wanted: Wanted) -> set[Peer]:
    return {*found} - _own(found, wanted)


def _identity(peer: Peer) -> str:
    return peer.identity


def _ask(host: HostContext) -> Answers:
    given, target = host.settings.service, host.stack.outputs.target
    own = target.namespace if target else ""
    named = NamespacedName(given.namespace, given.name) if given else NamespacedName(own, HTTPBIN)
    cluster = host.stack.reached["target"]
    selector = ((cluster.service(named) or {}).get("spec") or {}).get("selector")
    if not selector:
        raise Failed(f"Service {named} selects no Pods")
    query = {
        "labelSelector": ",".join(f"{name}={value}" for name, value in selector.items()),
        "fieldSelector": "status.phase=Running",
        "limit": "200",
    }
    none = f"no Pod of Service {named} with a sidecar is ready"
    return host.stack.dumps.ask(cluster, Question("target", named.namespace, query, workload_parts(), sample, none))
