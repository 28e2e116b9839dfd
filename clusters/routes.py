"""Objects of a cluster that name hosts and gateways, read as Istio and Kyma's API Gateway module read them."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from clusters.cluster import Cluster
from components.namespaced_name import NamespacedName

MESH = "mesh"
"""The gateway of VirtualServices that stands for all sidecars."""

_PATHS = {
    "APIRule": "/apis/gateway.kyma-project.io/v2/apirules",
    "DestinationRule": "/apis/networking.istio.io/v1/destinationrules",
    "Gateway": "/apis/networking.istio.io/v1/gateways",
    "Ingress": "/apis/networking.k8s.io/v1/ingresses",
    "ServiceEntry": "/apis/networking.istio.io/v1/serviceentries",
    "Sidecar": "/apis/networking.istio.io/v1/sidecars",
    "VirtualService": "/apis/networking.istio.io/v1/virtualservices",
}
# Kyma converts a rule of v1beta1 as far as v2 can express it, and keeps the original spec in an annotation.
_ORIGINAL_VERSION, _V1BETA1_SPEC = "gateway.kyma-project.io/original-version", "gateway.kyma-project.io/v1beta1-spec"
# Kyma's labels of a VirtualService that it made for an APIRule: of v1beta1 one, NAME.NAMESPACE; of v2 two.
_RULE_OF_ROUTE = "apirule.gateway.kyma-project.io/v1beta1"
_NAME_OF_RULE, _NAMESPACE_OF_RULE = "apirule.gateway.kyma-project.io/name", "apirule.gateway.kyma-project.io/namespace"


@dataclass(frozen=True)
class Route:
    """An object of Istio or Kyma that decides where requests go, or an Ingress."""

    kind: str
    metadata: Mapping[str, Any]
    spec: Mapping[str, Any]

    def __str__(self) -> str:
        """Return KIND NAMESPACE/NAME."""
        return f"{self.kind} {self.place}"

    @property
    def place(self) -> NamespacedName:
        """Namespace and name."""
        return NamespacedName(self.metadata["namespace"], self.metadata["name"])

    @property
    def labels(self) -> Mapping[str, str]:
        """Its labels."""
        return self.metadata.get("labels") or {}

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts of an APIRule, ServiceEntry or VirtualService."""
        return (*self.spec.get("hosts", ()), *filter(None, [self.spec.get("host")]))

    @property
    def gateways(self) -> frozenset[str]:
        """The Gateways, NAMESPACE/NAME or `mesh`, that an APIRule or VirtualService is bound to."""
        named = (*self.spec.get("gateways", ()), *filter(None, [self.spec.get("gateway")]))
        return frozenset(_resolved(name, self.place.namespace) for name in named or (MESH,))

    @property
    def api_rule(self) -> NamespacedName | None:
        """The APIRule that Kyma made this VirtualService for; None if Kyma did not make it."""
        if name := self.labels.get(_NAME_OF_RULE):
            return NamespacedName(self.labels.get(_NAMESPACE_OF_RULE, ""), name)
        name, _, namespace = self.labels.get(_RULE_OF_ROUTE, "").rpartition(".")
        return NamespacedName(namespace, name) if name else None

    def served(self, ports: Collection[int]) -> set[str]:
        """Return the hosts that a Gateway serves on these ports, without the namespaces that it takes routes from."""
        return {host for host, _ in self.served_on(ports)}

    def served_on(self, ports: Collection[int]) -> set[tuple[str, int]]:
        """Return the hosts that a Gateway serves on these ports, as `served`, each with the port."""
        servers = [each for each in self.spec.get("servers") or () if (each.get("port") or {}).get("number") in ports]
        return {
            (host.rpartition("/")[2], server["port"]["number"])
            for server in servers
            for host in server.get("hosts") or ()
        }

    def selects(self, labels: Mapping[str, str]) -> bool:
        """Return whether a Gateway applies to Pods with these labels."""
        return bool(self.spec.get("selector", {}).items() <= labels.items())

    def seen_in(self, namespaces: Collection[str]) -> bool:
        """Return whether a ServiceEntry or VirtualService is exported to one of these namespaces."""
        exported = self.spec.get("exportTo") or ["*"]
        return any(to == "*" or (self.place.namespace if to == "." else to) in namespaces for to in exported)


def routes(cluster: Cluster, kind: str) -> list[Route]:
    """Return the objects of a kind; none if the cluster has no such kind."""
    return [_route(kind, item) for item in cluster.items(_PATHS[kind])]


def _route(kind: str, item: Mapping[str, Any]) -> Route:
    metadata, spec = item["metadata"], item.get("spec") or {}
    annotations = metadata.get("annotations", {})
    if annotations.get(_ORIGINAL_VERSION) == "v1beta1":
        spec = {**_parsed(annotations.get(_V1BETA1_SPEC, "")), **spec}
    return Route(kind, metadata, spec)


def _parsed(text: str) -> dict[str, Any]:
    try:
        parsed = json.loads(text)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _resolved(gateway: str, namespace: str) -> str:
    """Return NAMESPACE/NAME for a Gateway named so, or as NAME, ./NAME or NAME.NAMESPACE.svc.cluster.local."""
    if gateway == MESH:
        return gateway
    place, slash, name = gateway.partition("/")
    if slash:
        return str(NamespacedName(namespace if place == "." else place, name))
    name, dot, rest = gateway.partition(".")
    return str(NamespacedName(rest.partition(".")[0] if dot else namespace, name))
