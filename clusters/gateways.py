"""The gateways of Istio as they are installed: by istioctl, by Kyma, by Helm, or otherwise."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from clusters.cluster import Cluster
from components.istio_gateway import DEFAULT_REVISION, REVISION, GatewayError, IstioGateway

_WORKLOADS = ("deployments", "daemonsets")


def find(cluster: Cluster, name: str, key: str, *, to_come: IstioGateway | None = None) -> IstioGateway:
    """Read the gateway behind a Service, NAMESPACE/NAME; raise ConfigError, naming the key, if it cannot be used.

    to_come: the gateway that the stack will have made, if there is none yet
    """
    namespace, _, service = name.partition("/")
    found = cluster.read(f"/api/v1/namespaces/{namespace}/services/{service}")
    if not found and to_come and to_come.name == name:
        return to_come
    if not found:
        raise cluster.problem(f"has no Service {name}", key)
    pods = _templates(cluster, namespace, found["spec"].get("selector") or {})
    try:
        offer = IstioGateway.read(found, pods)
    except GatewayError as lack:
        raise cluster.problem(str(lack), key) from None
    return offer if REVISION in offer.labels else replace(offer, revision=_revision_of(cluster, namespace))


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
