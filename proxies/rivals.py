"""Rivals: objects of others that serve a host on the listener which the stack's Gateways use.

Envoy rejects a listener with two filter chains for one server name. Istio merges servers of one port number, but not
those of different numbers, though the numbers of a Service's ports may lead to one port of the gateway's Pods
(https://github.com/istio/istio/blob/master/pilot/pkg/model/gateway.go).
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from clusters.cluster import Cluster
from clusters.routes import routes
from components.istio_gateway import IstioGateway
from components.namespaced_name import NamespacedName
from components.ownership import owner_mark
from settings import ConfigError

_HTTPS = 443
_INGRESSES, _INGRESS_CLASSES = (f"/apis/networking.k8s.io/v1/{kind}" for kind in ("ingresses", "ingressclasses"))
_CLASS_ANNOTATION = "kubernetes.io/ingress.class"
# https://github.com/istio/istio/blob/master/pilot/pkg/config/kube/ingress/conversion.go
_ISTIO_CLASS, _ISTIO_CONTROLLER = "istio", "istio.io/ingress-controller"
_INGRESS_GATEWAY = {"istio": "ingressgateway"}  # unless ingressSelector of the mesh config says otherwise


class _Server(NamedTuple):
    host: str
    port: int
    named: str
    owner: str | None


def rivals(cluster: Cluster, gateway: IstioGateway, domains: Collection[str], owner: str | None) -> list[str]:
    """Return a phrase for each object of others that serves a host on the listener of port 443.

    domains: hosts of the stack; if nobody else serves these, the hosts that others serve twice
    owner: the stack's mark
    """
    servers = list(_servers(cluster, gateway))
    outside = [each for each in servers if owner is None or each.owner != owner]
    found = [each for each in outside if each.host in domains]
    if not found:
        twice = {one.host for one in servers for other in servers if one.host == other.host and one.port != other.port}
        found = [each for each in outside if each.host in twice]
    return sorted({f"{each.named} serves {each.host} on port {each.port}" for each in found})


def listener_ports(cluster: Cluster, gateway: IstioGateway) -> set[int]:
    """Return the port numbers of Gateways' servers that lead to the listener of port 443."""
    service = cluster.service(NamespacedName(gateway.namespace, gateway.service)) or {"spec": {}}
    ports = {port["port"]: port.get("targetPort", port["port"]) for port in service["spec"].get("ports", [])}
    own = {gateway.port} if isinstance(gateway.port, int) and gateway.port not in ports else set()
    return {_HTTPS} | own | {number for number, target in ports.items() if target == gateway.port}


def _servers(cluster: Cluster, gateway: IstioGateway) -> Iterator[_Server]:
    ports = listener_ports(cluster, gateway)
    for route in routes(cluster, "Gateway"):
        servers = route.spec.get("servers") or [] if route.selects(gateway.labels) else []
        for server in servers:
            if (port := server["port"]["number"]) in ports:
                hosts = {host.rpartition("/")[2] for host in server.get("hosts") or []}
                yield from (_Server(host, port, str(route), owner_mark(route.metadata)) for host in hosts)
    if _INGRESS_GATEWAY.items() <= gateway.labels.items():
        with suppress(ConfigError):  # without the right to list Ingresses, the Gateways are named
            yield from _ingresses(cluster)


def _ingresses(cluster: Cluster) -> Iterator[_Server]:
    classes = {
        each["metadata"]["name"]
        for each in cluster.items(_INGRESS_CLASSES)
        if (each.get("spec") or {}).get("controller") == _ISTIO_CONTROLLER
    }
    for item in cluster.items(_INGRESSES):
        metadata, spec = item["metadata"], item.get("spec") or {}
        named = (metadata.get("annotations") or {}).get(_CLASS_ANNOTATION) or spec.get("ingressClassName")
        if named not in {_ISTIO_CLASS, *classes}:
            continue
        place = NamespacedName(metadata["namespace"], metadata["name"])
        for host in _tls_hosts(spec):
            yield _Server(host, _HTTPS, f"Ingress {place}", owner_mark(metadata))


def _tls_hosts(spec: Mapping[str, Any]) -> set[str]:
    return {host for each in spec.get("tls") or [] for host in each.get("hosts") or []}
