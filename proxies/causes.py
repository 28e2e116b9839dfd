"""Finds the likely causes of a rejected listener: objects outside the stack that serve a host on the same listener.

Envoy rejects a listener with two filter chains for one server name. Istio merges servers of one port number, but not
those of different numbers, though the numbers of a Service's ports may lead to one port of the gateway's Pods
(https://github.com/istio/istio/blob/master/pilot/pkg/model/gateway.go).
"""

from collections.abc import Collection, Iterator
from contextlib import suppress
from typing import NamedTuple

from clusters.cluster import Cluster
from clusters.ingresses import tls_hosts
from clusters.routes import routes
from components.istio_gateway import IstioGateway
from components.ownership import owner_mark
from settings import ConfigError

_HTTPS = 443


class _Server(NamedTuple):
    host: str
    port: int
    named: str
    owner: str | None


def causes(cluster: Cluster, gateway: IstioGateway, domains: Collection[str], owner: str | None) -> list[str]:
    """Return a phrase for each claim to a domain on the listener of the stack's Gateways.

    domains: hosts of the stack; if nothing else serves these, the hosts that objects outside the stack serve twice
    owner: the stack's mark
    """
    servers = list(_servers(cluster, gateway))
    outside = [each for each in servers if owner is None or each.owner != owner]
    found = [each for each in outside if each.host in domains]
    if not found:
        twice = {one.host for one in servers for other in servers if one.host == other.host and one.port != other.port}
        found = [each for each in outside if each.host in twice]
    return sorted({f"{each.named} serves {each.host} on port {each.port}" for each in found})


def _servers(cluster: Cluster, gateway: IstioGateway) -> Iterator[_Server]:
    for route in routes(cluster, "Gateway"):
        served = route.served_on(gateway.server_ports) if route.selects(gateway.labels) else ()
        yield from (_Server(host, port, str(route), owner_mark(route.metadata)) for host, port in served)
    with suppress(ConfigError):  # without the right to list Ingresses, the Gateways are named
        for host, ingress in tls_hosts(cluster, gateway):
            yield _Server(host, _HTTPS, str(ingress), owner_mark(ingress.metadata))
