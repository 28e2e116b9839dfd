"""What the objects of a cluster say of hosts and gateways, as Istio and Kyma's API Gateway module read it."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from clusters.cluster import Cluster

MESH = "mesh"

_PATHS = {
    "APIRule": "/apis/gateway.kyma-project.io/v2/apirules",
    "Gateway": "/apis/networking.istio.io/v1/gateways",
    "ServiceEntry": "/apis/networking.istio.io/v1/serviceentries",
    "VirtualService": "/apis/networking.istio.io/v1/virtualservices",
}
# A rule that was made as v1beta1 is converted as far as it can be; its annotations keep what its maker wrote.
_MADE_AS, _V1BETA1_SPEC = "gateway.kyma-project.io/original-version", "gateway.kyma-project.io/v1beta1-spec"
_RULE_OF_ROUTE = "apirule.gateway.kyma-project.io/v1beta1"
_NAME_OF_RULE, _NAMESPACE_OF_RULE = "apirule.gateway.kyma-project.io/name", "apirule.gateway.kyma-project.io/namespace"


@dataclass(frozen=True)
class Route:
    """An APIRule, Gateway, ServiceEntry or VirtualService."""

    kind: str
    namespace: str
    name: str
    labels: Mapping[str, str]
    spec: Mapping[str, Any]

    def __str__(self) -> str:
        """Name it as a person would."""
        return f"{self.kind} {self.place}"

    @property
    def place(self) -> str:
        """NAMESPACE/NAME."""
        return f"{self.namespace}/{self.name}"

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts of anything but a Gateway."""
        return (*self.spec.get("hosts", ()), *filter(None, [self.spec.get("host")]))

    @property
    def gateways(self) -> frozenset[str]:
        """The Gateways, NAMESPACE/NAME, that an APIRule or VirtualService is bound to; `mesh` is that of sidecars."""
        named = (*self.spec.get("gateways", ()), *filter(None, [self.spec.get("gateway")]))
        return frozenset(_resolved(name, self.namespace) for name in named or (MESH,))

    @property
    def api_rule(self) -> str:
        """The APIRule, NAMESPACE/NAME, that Kyma made a VirtualService for; empty if it is nobody's."""
        if name := self.labels.get(_NAME_OF_RULE):
            return f"{self.labels.get(_NAMESPACE_OF_RULE)}/{name}"
        name, _, namespace = self.labels.get(_RULE_OF_ROUTE, "").rpartition(".")
        return f"{namespace}/{name}" if name else ""

    def served(self, port: int) -> set[str]:
        """Return the hosts that a Gateway serves on a port, whosever routes it takes for them."""
        servers = [server for server in self.spec.get("servers", ()) if server.get("port", {}).get("number") == port]
        return {host.rpartition("/")[2] for server in servers for host in server.get("hosts", ())}

    def selects(self, labels: Mapping[str, str]) -> bool:
        """Tell whether a Gateway is for Pods with these labels."""
        return bool(self.spec.get("selector", {}).items() <= labels.items())

    def seen_in(self, namespaces: Collection[str]) -> bool:
        """Tell whether a ServiceEntry or VirtualService is exported to one of these namespaces."""
        exported = self.spec.get("exportTo") or ["*"]
        return any(to == "*" or (self.namespace if to == "." else to) in namespaces for to in exported)


def routes(cluster: Cluster, kind: str) -> list[Route]:
    """List the objects of a kind; none if the cluster has no such kind."""
    return [_route(kind, item) for item in cluster.items(_PATHS[kind])]


def _route(kind: str, item: Mapping[str, Any]) -> Route:
    metadata, spec = item["metadata"], item.get("spec") or {}
    annotations = metadata.get("annotations", {})
    if annotations.get(_MADE_AS) == "v1beta1":
        spec = {**_parsed(annotations.get(_V1BETA1_SPEC, "")), **spec}
    return Route(kind, metadata["namespace"], metadata["name"], metadata.get("labels", {}), spec)


def _parsed(text: str) -> dict[str, Any]:
    try:
        parsed = json.loads(text)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _resolved(gateway: str, namespace: str) -> str:
    """Write NAMESPACE/NAME for what may also be NAME, ./NAME, or a service name: NAME.NAMESPACE.svc.cluster.local."""
    if gateway == MESH:
        return gateway
    place, slash, name = gateway.partition("/")
    if slash:
        return f"{namespace if place == '.' else place}/{name}"
    name, dot, rest = gateway.partition(".")
    return f"{rest.partition('.')[0] if dot else namespace}/{name}"
