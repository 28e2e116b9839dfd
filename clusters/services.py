"""Checks of the target's Services that hosts lead to: the port, and sidecars in the Pods behind it.

Where the stack has a route to a Service already, its problems are warnings: they must block neither a `pulumi up`,
which may revoke a client, nor `pulumi destroy --run-program`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from clusters.cluster import Cluster
from clusters.routes import Route, routes
from components.namespaced_name import NamespacedName
from components.ownership import Owner
from settings import ConfigError, Host, Service

_SIDECAR = "istio-proxy"
_ENDED = {"Succeeded", "Failed"}
_SHOWN = 3


def check_service(cluster: Cluster, name: str, host: Host, owner: Owner) -> tuple[str, ...]:
    """Return the problems of a host's Service if the stack has a route to it already; raise ConfigError if it has none.

    The Service needs the port, and each of its Pods a sidecar. A demo host has no Service to check.
    """
    wanted = host.service
    problems = tuple(map(str, _problems(cluster, f"hosts.{name}.service", wanted))) if wanted else ()
    if wanted and problems and not (owner.mark is not None and _is_routed(cluster, host.domain, wanted, owner)):
        raise ConfigError(*problems)
    return problems


def _is_routed(cluster: Cluster, domain: str, wanted: Service, owner: Owner) -> bool:
    return any(
        owner.owns(route.metadata) and domain in route.hosts and _leads_to(route, wanted)
        for kind in ("APIRule", "VirtualService")
        for route in routes(cluster, kind)
    )


def _leads_to(route: Route, wanted: Service) -> bool:
    if route.kind == "APIRule":
        named = {"name": wanted.name, "namespace": wanted.namespace, "port": wanted.port}
        return bool(route.spec.get("service") == named)
    host, port = f"{wanted.name}.{wanted.namespace}.svc.cluster.local", {"number": wanted.port}
    led = [each.get("destination") for http in route.spec.get("http", ()) for each in http.get("route", ())]
    return {"host": host, "port": port} in led


def _problems(cluster: Cluster, key: str, wanted: Service) -> Iterator[ConfigError]:
    named = NamespacedName(wanted.namespace, wanted.name)
    found = cluster.service(named)
    called = f"Service {named}"
    if not found:
        yield cluster.problem(f"has no {called}", key)
        return
    spec = found["spec"]
    selector = spec.get("selector")
    if spec.get("type") == "ExternalName":
        yield cluster.problem(f"has {called} of type ExternalName, which leads out of the cluster", key)
    elif not selector:
        yield cluster.problem(f"has no Pods behind {called}, which has no selector", key)
    elif bare := _without_sidecar(cluster, wanted.namespace, selector):
        shown = ", ".join(bare[:_SHOWN]) + (f" and {len(bare) - _SHOWN} more" if len(bare) > _SHOWN else "")
        # Without sidecars, the gateway's requests travel in plain text, and no policy refuses those of other clients.
        yield cluster.problem(
            f"has no sidecars in Pods behind {called}: {shown}; label their namespace for injection, and restart them",
            key,
        )
    ports = [port["port"] for port in spec.get("ports", [])]
    if wanted.port not in ports:
        listed = ", ".join(map(str, ports)) or "none"
        yield cluster.problem(f"has no such port in {called}; it has {listed}", f"{key}.port")


def _without_sidecar(cluster: Cluster, namespace: str, selector: Mapping[str, str]) -> list[str]:
    pods = cluster.items(f"/api/v1/namespaces/{namespace}/pods", selector)
    return sorted(pod["metadata"]["name"] for pod in pods if _is_serving(pod) and not _has_sidecar(pod))


def _is_serving(pod: Mapping[str, Any]) -> bool:
    has_ended = pod.get("status", {}).get("phase") in _ENDED
    return not has_ended and "deletionTimestamp" not in pod["metadata"]


def _has_sidecar(pod: Mapping[str, Any]) -> bool:
    spec = pod["spec"]
    # A native sidecar is an init container: https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/
    return any(each["name"] == _SIDECAR for each in (*spec["containers"], *spec.get("initContainers", ())))
