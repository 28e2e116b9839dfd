"""Services of the target cluster that hosts lead to: whether they have Pods of the mesh behind the port.

Where the stack has a route to a Service already, what has become of that is only told of: it is in the way of no
`pulumi up`, which may revoke a client, nor of `pulumi destroy --run-program`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from clusters.cluster import Cluster
from clusters.routes import routes
from components.ownership import OWNER_LABEL
from settings import ConfigError, Host, Service

_SIDECAR = "istio-proxy"
_OVER = {"Succeeded", "Failed"}
_SHOWN = 3


def check(cluster: Cluster, name: str, host: Host, owner: str | None) -> tuple[str, ...]:
    """Raise ConfigError unless the host's Service has the port, and none of its Pods lacks a sidecar.

    Where the stack, known by `owner`, has a route to it, return what is wrong instead. `owner` is None for a stack that
    has deployed nothing yet.
    """
    wanted = host.service
    problems = tuple(map(str, _problems(cluster, f"hosts.{name}.service", wanted))) if wanted else ()
    if wanted and problems and not (owner and _is_routed(cluster, host.domain, wanted, owner)):
        raise ConfigError(*problems)
    return problems


def _is_routed(cluster: Cluster, domain: str, wanted: Service, owner: str) -> bool:
    destination = {"host": f"{wanted.name}.{wanted.namespace}.svc.cluster.local", "port": {"number": wanted.port}}
    leading: dict[str, dict[str, Any]] = {
        "APIRule": {"service": {"name": wanted.name, "namespace": wanted.namespace, "port": wanted.port}},
        "VirtualService": {"http": [{"route": [{"destination": destination}]}]},
    }
    return any(
        route.labels.get(OWNER_LABEL) == owner and domain in route.hosts and spec.items() <= route.spec.items()
        for kind, spec in leading.items()
        for route in routes(cluster, kind)
    )


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
    pods = cluster.items(f"/api/v1/namespaces/{namespace}/pods", selector)
    return sorted(pod["metadata"]["name"] for pod in pods if _is_serving(pod) and not _has_sidecar(pod))


def _is_serving(pod: Mapping[str, Any]) -> bool:
    is_over = pod.get("status", {}).get("phase") in _OVER
    return not is_over and "deletionTimestamp" not in pod["metadata"]


def _has_sidecar(pod: Mapping[str, Any]) -> bool:
    spec = pod["spec"]
    # A sidecar that Kubernetes knows as one is an init container.
    return any(each["name"] == _SIDECAR for each in (*spec["containers"], *spec.get("initContainers", ())))
