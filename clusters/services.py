"""Services of the target cluster that hosts lead to: whether they have Pods of the mesh behind the port."""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from clusters.cluster import Cluster
from settings import ConfigError
from settings.hosts import Service

_SIDECAR = "istio-proxy"
_OVER = {"Succeeded", "Failed"}
_SHOWN = 3


def check(cluster: Cluster, host: str, wanted: Service) -> None:
    """Raise ConfigError unless the Service of this host has the port, and none of its Pods lacks a sidecar."""
    if problems := list(_problems(cluster, f"hosts.{host}.service", wanted)):
        raise ConfigError(*map(str, problems))


def _problems(cluster: Cluster, key: str, wanted: Service) -> Iterator[ConfigError]:
    found = cluster.read(f"/api/v1/namespaces/{wanted.namespace}/services/{wanted.name}")
    called = f"Service {wanted.namespace}/{wanted.name}"
    if not found:
        yield cluster.problem(f"has no {called}", key)
        return
    spec = found["spec"]
    selector = spec.get("selector")
    if spec.get("type") == "ExternalName":
        yield cluster.problem(f"leads outside by {called}, which has the type ExternalName", key)
    elif not selector:
        yield cluster.problem(f"has no Pods behind {called}, which has no selector", key)
    elif bare := _without_sidecar(cluster, wanted.namespace, selector):
        shown = ", ".join(bare[:_SHOWN]) + (" and others" if len(bare) > _SHOWN else "")
        # Without one, the gateway's requests travel in plain text, and no policy can refuse anybody else's.
        yield cluster.problem(
            f"has no sidecars in Pods behind {called}: {shown}; label their namespace for injection, and restart them",
            key,
        )
    ports = [port["port"] for port in spec.get("ports", [])]
    if wanted.port not in ports:
        listed = ", ".join(map(str, ports)) or "none"
        yield cluster.problem(f"has no such port in {called}; it has {listed}", f"{key}.port")


def _without_sidecar(cluster: Cluster, namespace: str, selector: Mapping[str, str]) -> list[str]:
    query = urlencode({"labelSelector": ",".join(f"{label}={value}" for label, value in selector.items())})
    pods = cluster.items(f"/api/v1/namespaces/{namespace}/pods?{query}")
    return sorted(pod["metadata"]["name"] for pod in pods if _is_serving(pod) and not _has_sidecar(pod))


def _is_serving(pod: Mapping[str, Any]) -> bool:
    is_over = pod.get("status", {}).get("phase") in _OVER
    return not is_over and "deletionTimestamp" not in pod["metadata"]


def _has_sidecar(pod: Mapping[str, Any]) -> bool:
    spec = pod["spec"]
    # A sidecar that Kubernetes knows as one is an init container.
    return any(each["name"] == _SIDECAR for each in (*spec["containers"], *spec.get("initContainers", ())))
