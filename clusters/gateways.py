"""Istio gateways of a cluster, installed by istioctl, by Kyma, by Helm, or otherwise."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from clusters.cluster import Cluster
from components.istio_gateway import DEFAULT_REVISION, REVISION, GatewayError, IstioGateway
from components.namespaced_name import NamespacedName

_WORKLOADS = ("deployments", "daemonsets")


def find(cluster: Cluster, name: str, key: str, *, to_come: IstioGateway | None = None) -> IstioGateway:
    """Return the gateway behind a Service, NAMESPACE/NAME.

    key: config key that names the Service
    to_come: the gateway that the stack enables if its Service is missing; by default, a missing one is an error

    Raise ConfigError if the cluster has no such Service, or the Service is no gateway that the stack can use.
    """
    named = NamespacedName.parse(name)
    found = cluster.service(named)
    if not found and to_come and to_come.name == name:
        return to_come
    if not found:
        raise cluster.problem(f"has no Service {name}", key)
    pods = templates(cluster, named.namespace, found["spec"].get("selector") or {})
    try:
        gateway = IstioGateway.read(found, pods)
    except GatewayError as lack:
        raise cluster.problem(str(lack), key) from None
    if REVISION in gateway.labels:
        return gateway
    return replace(gateway, revision=_revision_of(cluster, named.namespace))


def templates(cluster: Cluster, namespace: str, selector: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Yield metadata and spec of the Pods that a selector matches: of their workloads' templates, else of the Pods."""
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
