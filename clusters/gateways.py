"""Istio gateways of a cluster, installed by istioctl, by Kyma, by Helm, or otherwise."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from clusters.cluster import Cluster
from clusters.concurrency import parallel
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
    selector = found["spec"].get("selector") or {}
    workloads = _workloads(cluster, named.namespace, selector)
    try:
        gateway = IstioGateway.read(found, _templates(cluster, named.namespace, selector, workloads))
    except GatewayError as lack:
        raise cluster.problem(str(lack), key) from None
    gateway = replace(gateway, replicas=_replicas(workloads))
    if REVISION in gateway.labels:
        return gateway
    return replace(gateway, revision=_revision_of(cluster, named.namespace))


def templates(cluster: Cluster, gateway: IstioGateway) -> list[Mapping[str, Any]]:
    """Return metadata and spec of a gateway's Pods: of their workloads' templates, else of the Pods."""
    workloads = _workloads(cluster, gateway.namespace, gateway.selector)
    return _templates(cluster, gateway.namespace, gateway.selector, workloads)


def replicas(cluster: Cluster, gateway: IstioGateway) -> int | None:
    """Return how many Pods the Deployments of a gateway run now; None if that is not known, as of a DaemonSet."""
    return _replicas(_workloads(cluster, gateway.namespace, gateway.selector))


def _workloads(cluster: Cluster, namespace: str, selector: Mapping[str, str]) -> list[Mapping[str, Any]]:
    """Return the Deployments and DaemonSets with Pods that a selector matches."""
    listed = parallel(partial(cluster.items, f"/apis/apps/v1/namespaces/{namespace}/{kind}") for kind in _WORKLOADS)
    return [
        workload
        for workloads in listed
        for workload in workloads
        if selector.items() <= workload["spec"]["template"]["metadata"].get("labels", {}).items()
    ]


def _templates(
    cluster: Cluster, namespace: str, selector: Mapping[str, str], workloads: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    described = [workload["spec"]["template"] for workload in workloads]
    return described or [*cluster.items(f"/api/v1/namespaces/{namespace}/pods", selector)]


def _replicas(workloads: Sequence[Mapping[str, Any]]) -> int | None:
    """Return the number of Pods that Deployments run; None if it is not known, as that of a DaemonSet."""
    counts = [workload["spec"].get("replicas") for workload in workloads]
    return None if None in counts or not counts else sum(filter(None, counts))


def _revision_of(cluster: Cluster, namespace: str) -> str:
    found = cluster.read(f"/api/v1/namespaces/{namespace}") or {"metadata": {}}
    return str(found["metadata"].get("labels", {}).get(REVISION, DEFAULT_REVISION))
