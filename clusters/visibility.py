"""Visibility: whether callers' sidecars get the stack's routes, and which DestinationRules decide in their place.

A sidecar without the route sends a request for a declared host in plain HTTP to where the domain's name leads, unless
the mesh has outboundTrafficPolicy REGISTRY_ONLY. Istio hides routes by a Sidecar
(https://istio.io/latest/docs/reference/config/networking/sidecar/) and by the mesh config's discoverySelectors
(https://istio.io/latest/docs/reference/config/istio.mesh.v1alpha1/#MeshConfig).

Istio looks for a DestinationRule in the caller's namespace first, and then in that of the destination
(https://istio.io/latest/docs/reference/config/networking/destination-rule/).
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from clusters.cluster import Cluster
from clusters.concurrency import parallel
from clusters.control_plane import Mesh, selects
from clusters.routes import Route, routes
from components.istio_gateway import IstioGateway, entry_host
from components.ownership import Owner
from settings import ConfigError

_DISCOVERY = "discoverySelectors"
_HTTP = 80


@dataclass(frozen=True)
class Calls:
    """The calls of a client's callers.

    namespace: the stack's own; empty for one with a random suffix
    injection: labels of that namespace, if the stack makes it
    caller_namespaces: of the callers but the stack's own
    gateway: the egress gateway
    domains: of the hosts, by their names in the config
    """

    namespace: str
    injection: Mapping[str, str]
    caller_namespaces: Collection[str]
    gateway: IstioGateway
    domains: Mapping[str, str]

    @property
    def entries(self) -> list[str]:
        """Host names by which the sidecars reach the egress gateway, one for each host."""
        return [entry_host(self.namespace or "kyma-mtls", host) for host in self.domains]


def check_visibility(cluster: Cluster, calls: Calls, mesh: Mesh, owner: Owner) -> tuple[str, ...]:
    """Return warnings about objects that hide the stack's routes from callers, or that decide in place of the stack's.

    Raise ConfigError for those that concern a host in a namespace of callers that have no route for it yet.
    """
    if not calls.domains:
        return ()
    kinds = ("Sidecar", "DestinationRule", "VirtualService")
    sidecars, rules, routed = parallel(partial(routes, cluster, kind) for kind in kinds)

    def problems(concerned: Calls) -> list[str]:
        found = [*undiscovered(concerned), *_hidden(sidecars, concerned, mesh), *_ruled(rules, concerned)]
        return [str(cluster.problem(each, f"{cluster.access.path}.callers")) for each in found]

    undiscovered = _discovery(cluster, calls, mesh)
    own = [route for route in routed if owner.owns(route.metadata)]
    if refused := [line for each in _unrouted(calls, own) for line in problems(each)]:
        raise ConfigError(*dict.fromkeys(refused))
    return tuple(problems(calls))


def _unrouted(calls: Calls, own: Collection[Route]) -> Iterator[Calls]:
    """Yield, of each namespace of callers, the calls for which the stack has no route there yet."""
    for namespace in (*calls.caller_namespaces, ""):  # the routes are in the stack's own namespace
        seen = [route for route in own if not namespace or route.seen_in({namespace})]
        known = {domain for route in seen for domain in route.hosts}
        if new := {name: domain for name, domain in calls.domains.items() if domain not in known}:
            yield replace(calls, domains=new, caller_namespaces=[namespace] if namespace else [])


def _discovery(cluster: Cluster, calls: Calls, mesh: Mesh) -> Callable[[Calls], Iterator[str]]:
    """Return what yields the namespaces of calls that discoverySelectors leave out."""
    selectors = mesh.get(_DISCOVERY) or []
    own, places = calls.namespace or "of the stack", [calls.gateway.namespace, *calls.caller_namespaces]
    named = [*places, *filter(None, [calls.namespace])] if selectors else []
    read = parallel(partial(cluster.read, f"/api/v1/namespaces/{name}") for name in named)
    labels = {name: _labels(namespace) for name, namespace in zip(named, read, strict=True) if namespace}
    labels[own] = {**labels.get(own, {}), **calls.injection}  # further labels of its namespace stay as they are

    def undiscovered(concerned: Calls) -> Iterator[str]:
        if not selectors:
            return
        for name in (concerned.gateway.namespace, *concerned.caller_namespaces, own):
            if name not in labels:  # it is to come
                continue
            known = {"kubernetes.io/metadata.name": name, **labels[name]}
            if not any(selects(selector, known) for selector in selectors):
                yield (
                    f"hides namespace {name} from Istio: no selector of {_DISCOVERY} in the mesh config has its "
                    "labels; let one match a label of it, such as kubernetes.io/metadata.name"
                )

    return undiscovered


def _hidden(sidecars: Collection[Route], calls: Calls, mesh: Mesh) -> Iterator[str]:
    defaults = [each for each in _in(sidecars, mesh.root_namespace) if not each.spec.get("workloadSelector")]
    for namespace in [*calls.caller_namespaces, *filter(None, [calls.namespace])]:
        own = list(_in(sidecars, namespace))
        is_covered = any(not each.spec.get("workloadSelector") for each in own)
        for sidecar in [*own, *([] if is_covered else defaults)]:
            for entry, lacks in _lacking(sidecar, namespace, calls):
                yield (
                    f"hides the stack's routes from the callers in namespace {namespace} by {sidecar}: add "
                    f"{' and '.join(lacks)} to the hosts of its egress, in {entry}"
                )


def _lacking(sidecar: Route, namespace: str, calls: Calls) -> Iterator[tuple[str, list[str]]]:
    """Yield each entry of a Sidecar's egress that lacks hosts which the callers in a namespace need: NAMESPACE/*.

    Istio takes the routes of port 80 from the entry for that port alone; if there is none, as those of all other ports,
    from the entry without a port (GetEgressListenerForRDS in
    https://github.com/istio/istio/blob/master/pilot/pkg/model/sidecar.go).
    """
    listeners = sidecar.spec.get("egress") or []
    if not listeners:
        return
    own = [(calls.namespace, domain) for domain in calls.domains.values()]
    gateway = [(calls.gateway.namespace, entry) for entry in calls.entries]
    for_http = [each for each in listeners if (each.get("port") or {}).get("number") == _HTTP]
    for_all = [each for each in listeners if "port" not in each]
    parts = [("an entry without a port", for_all, [*own, *gateway])]
    if for_http:
        parts.append((f"the entry for port {_HTTP}", for_http, own))
    for entry, used, needed in parts:
        hosts = [host for each in used for host in each.get("hosts", ())]
        imported = [host.split("/", 1) for host in hosts if "/" in host]  # Istio refuses any other
        missing = {f"{place or '*'}/*" for place, host in needed if not _imports(imported, namespace, (place, host))}
        if missing:
            yield entry, sorted(missing)


def _imports(imported: Iterable[Sequence[str]], namespace: str, needed: tuple[str, str]) -> bool:
    """Return whether hosts of a Sidecar import what callers in a namespace need: a namespace, and a host name in it.

    The namespace `.` is that of the callers, in a Sidecar of the mesh's root namespace, too.
    """
    place, host = needed
    return any(
        (namespace if among == "." else among) in ("*", place) and matches(pattern, host) for among, pattern in imported
    )


def _ruled(rules: Iterable[Route], calls: Calls) -> Iterator[str]:
    for rule in rules:
        host, namespace = str(rule.spec.get("host", "")), rule.place.namespace
        is_callers = namespace in {*calls.caller_namespaces, calls.namespace}
        if is_callers and any(matches(host, entry) for entry in calls.entries):
            yield f"lets {rule}, for host {host}, decide how callers reach the egress gateway: choose a narrower host"


def _in(found: Iterable[Route], namespace: str) -> Iterator[Route]:
    return (each for each in found if each.place.namespace == namespace)


def _labels(namespace: Any) -> dict[str, str]:
    return dict(namespace["metadata"].get("labels") or {})


def matches(pattern: str, host: str) -> bool:
    """Return whether a host of Istio's, exact or with a wildcard at its beginning, stands for a host name."""
    return host.endswith(pattern[1:]) if pattern.startswith("*") else pattern == host
