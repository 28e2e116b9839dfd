"""The gateways of Istio as they are installed: by istioctl, by Kyma, by Helm, or otherwise."""

from collections.abc import Iterator, Mapping
from typing import Any

from clusters.cluster import Cluster
from clusters.offer import GatewayOffer

REVISION = "istio.io/rev"
DEFAULT_REVISION = "default"

_HTTPS = 443
_WORKLOADS = ("deployments", "daemonsets")
_EGRESS_LABELS = {"app": "istio-egressgateway", "istio": "egressgateway"}

# As istioctl and Kyma's Istio module make it.
DOCUMENTED_EGRESS = GatewayOffer(
    namespace="istio-system",
    service="istio-egressgateway",
    selector=_EGRESS_LABELS,
    port=8443,
    labels=_EGRESS_LABELS,
    accounts=("istio-egressgateway-service-account",),
)


def find(cluster: Cluster, name: str, key: str, *, to_come: GatewayOffer | None = None) -> GatewayOffer:
    """Read the gateway behind a Service, NAMESPACE/NAME; raise ConfigError, naming the key, if it cannot be used.

    to_come: the gateway that the stack will have made, if there is none yet
    """
    namespace, _, service = name.partition("/")
    found = cluster.read(f"/api/v1/namespaces/{namespace}/services/{service}")
    if not found and to_come and to_come.name == name:
        return to_come
    if not found:
        raise cluster.problem(f"has no Service {name}", key)
    spec = found["spec"]
    if not spec.get("selector"):
        raise cluster.problem(f"has no gateway behind Service {name}, which has no selector", key)
    ports = {port["port"]: port.get("targetPort", port["port"]) for port in spec.get("ports", [])}
    if _HTTPS not in ports:
        listed = ", ".join(map(str, ports)) or "none"
        raise cluster.problem(f"has no port {_HTTPS} in Service {name}; it has {listed}", key)
    templates = list(_templates(cluster, namespace, spec["selector"]))
    if not templates:
        raise cluster.problem(f"has no Pods behind Service {name}", key)
    labels: dict[str, str] = {}
    for template in templates:
        labels |= template["metadata"]["labels"]
    return GatewayOffer(
        namespace=namespace,
        service=service,
        selector=spec["selector"],
        port=ports[_HTTPS],
        labels=labels,
        accounts=tuple(sorted({template["spec"].get("serviceAccountName", "default") for template in templates})),
        revision=labels.get(REVISION) or _revision_of(cluster, namespace),
        addresses=tuple(_addresses(found)),
        ip_families=tuple(spec.get("ipFamilies", [])),
    )


def _templates(cluster: Cluster, namespace: str, selector: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Yield metadata and spec of the Pods that a selector means: as their workloads describe them, or as they run."""
    described = False
    for kind in _WORKLOADS:
        for workload in cluster.items(f"/apis/apps/v1/namespaces/{namespace}/{kind}"):
            template = workload["spec"]["template"]
            if selector.items() <= template["metadata"].get("labels", {}).items():
                described = True
                yield template
    if not described:
        yield from cluster.items(f"/api/v1/namespaces/{namespace}/pods", selector)


def _revision_of(cluster: Cluster, namespace: str) -> str:
    found = cluster.read(f"/api/v1/namespaces/{namespace}") or {"metadata": {}}
    return str(found["metadata"].get("labels", {}).get(REVISION, DEFAULT_REVISION))


def _addresses(service: Mapping[str, Any]) -> Iterator[str]:
    for entry in service.get("status", {}).get("loadBalancer", {}).get("ingress", []):
        if address := entry.get("ip") or entry.get("hostname"):
            yield address
