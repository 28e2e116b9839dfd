"""Pods of a cluster, and what Istio made of them."""

from collections.abc import Iterable, Mapping
from typing import Any

from clusters.cluster import Cluster

Pod = Mapping[str, Any]

_SIDECAR = "istio-proxy"
_ENDED = {"Succeeded", "Failed"}
_SHOWN = 3


def running(cluster: Cluster, namespace: str, selector: Mapping[str, str] | None = None) -> list[Pod]:
    """Return the Pods of a namespace with these labels, by name, without those that have ended or are being deleted."""
    found = cluster.items(f"/api/v1/namespaces/{namespace}/pods", selector)
    return sorted(filter(_is_running, found), key=name)


def name(pod: Pod) -> str:
    """Return the name of a Pod."""
    return str(pod["metadata"]["name"])


def label(pod: Pod, key: str) -> str | None:
    """Return a label of a Pod; None if it does not have the label."""
    labels: Mapping[str, str] = pod["metadata"].get("labels") or {}
    return labels.get(key)


def annotation(pod: Pod, key: str) -> str | None:
    """Return an annotation of a Pod; None if it does not have the annotation."""
    annotations: Mapping[str, str] = pod["metadata"].get("annotations") or {}
    return annotations.get(key)


def containers(pod: Pod) -> list[dict[str, Any]]:
    """Return the containers of a Pod, those that initialize it included."""
    # A native sidecar is an init container: https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/
    spec = pod["spec"]
    return [*spec.get("containers", ()), *spec.get("initContainers", ())]


def has_sidecar(pod: Pod) -> bool:
    """Return whether a Pod has Istio's sidecar."""
    return any(each["name"] == _SIDECAR for each in containers(pod))


def is_on_host(pod: Pod) -> bool:
    """Return whether a Pod uses the network of its node: Istio injects no sidecar into it."""
    return bool(pod["spec"].get("hostNetwork"))


def listed(pods: Iterable[Pod]) -> str:
    """Return the first names of Pods, and how many more there are."""
    names = [name(pod) for pod in pods]
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def _is_running(pod: Pod) -> bool:
    has_ended = pod.get("status", {}).get("phase") in _ENDED
    return not has_ended and "deletionTimestamp" not in pod["metadata"]
