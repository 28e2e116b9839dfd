"""Visibility: whether callers' sidecars get the stack's routes, and which DestinationRules decide in their place.

A sidecar without the route sends a request for a declared host in plain HTTP to where the domain's name leads, unless
the mesh has outboundTrafficPolicy REGISTRY_ONLY. Istio hides routes by a Sidecar
(https://istio.io/latest/docs/reference/config/networking/sidecar/) and by the mesh config's discoverySelectors
(https://istio.io/latest/docs/reference/config/istio.mesh.v1alpha1/#MeshConfig).

Istio looks for a DestinationRule in the caller's namespace first, and then in that of the destination
(https://istio.io/latest/docs/reference/config/networking/destination-rule/).
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
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

    Raise ConfigError for them while the cluster has no route of the stack.
    """
    if not calls.domains:
        return ()
    kinds = ("Sidecar", "DestinationRule", "VirtualService")
    sidecars, rules, routed = parallel(partial(routes, cluster, kind) for kind in kinds)
    found = [*_undiscovered(cluster, calls, mesh), *_hidden(sidecars, calls, mesh), *_ruled(rules, calls)]
    problems = [str(cluster.problem(each, f"{cluster.access.path}.callers")) for each in found]
    if problems and not any(owner.owns(route.metadata) for route in routed):
        raise ConfigError(*problems)
    return tuple(problems)


def _undiscovered(cluster: Cluster, calls: Calls, mesh: Mesh) -> Iterator[str]:
    selectors = mesh.get(_DISCOVERY) or []
    if not selectors:
        return
    named = [calls.gateway.namespace, *calls.caller_namespaces]
    read = parallel(partial(cluster.read, f"/api/v1/namespaces/{name}") for name in named)
    labels = {name: _labels(namespace) for name, namespace in zip(named, read, strict=True) if namespace}
    labels[calls.namespace or "of the stack"] = dict(calls.injection)
    for name, those in labels.items():
        if not any(selects(selector, {"kubernetes.io/metadata.name": name, **those}) for selector in selectors):
            yield f"hides namespace {name} from Istio: no selector of {_DISCOVERY} in the mesh config has its labels"


def _hidden(sidecars: Collection[Route], calls: Calls, mesh: Mesh) -> Iterator[str]:
    defaults = [each for each in _in(sidecars, mesh.root_namespace) if not each.spec.get("workloadSelector")]
    for namespace in [*calls.caller_namespaces, *filter(None, [calls.namespace])]:
        own = list(_in(sidecars, namespace))
        is_covered = any(not each.spec.get("workloadSelector") for each in own)
        for sidecar in [*own, *([] if is_covered else defaults)]:
            if lacks := sorted(set(_not_imported(sidecar, calls))):
                yield (
                    f"hides the stack's routes from the callers in namespace {namespace} by {sidecar}: add "
                    f"{' and '.join(lacks)} to the hosts of its egress, in an entry without a port"
                )


def _not_imported(sidecar: Route, calls: Calls) -> Iterator[str]:
    """Yield the hosts, NAMESPACE/*, that a Sidecar does not import for the callers and that they need."""
    listeners = sidecar.spec.get("egress") or []
    if not listeners:
        return
    hosts = [host for each in listeners if "port" not in each for host in each.get("hosts", ())]
    imported = [host.split("/", 1) for host in hosts if "/" in host]  # Istio refuses any other
    own = [(calls.namespace, domain) for domain in calls.domains.values()]
    needed = [*own, *((calls.gateway.namespace, entry) for entry in calls.entries)]
    for namespace, host in needed:
        if not any(_imports(place, pattern, (namespace, host), sidecar) for place, pattern in imported):
            yield f"{namespace or '*'}/*"


def _imports(place: str, pattern: str, needed: tuple[str, str], sidecar: Route) -> bool:
    namespace, host = needed
    return (sidecar.place.namespace if place == "." else place) in ("*", namespace) and matches(pattern, host)


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
