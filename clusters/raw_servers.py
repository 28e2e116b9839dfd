"""Servers of Istio gateways that forward TCP, or TLS as it is, and so read no HTTP host.

A policy of the stack decides by host. On such a server Istio leaves out the host, and the rest of the policy then holds
for every connection.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from clusters.cluster import Cluster
from clusters.routes import Route, routes
from components.istio_gateway import IstioGateway

_RAW_PROTOCOLS = {"TCP", "TLS", "MONGO", "REDIS", "MYSQL"}
_RAW_MODES = {"PASSTHROUGH", "AUTO_PASSTHROUGH"}
_MUTUAL_MODES = {"MUTUAL", "ISTIO_MUTUAL", "OPTIONAL_MUTUAL"}


def check_raw_servers(cluster: Cluster, gateway: IstioGateway) -> None:
    """Raise ConfigError if Gateways have raw servers on the Pods of a gateway.

    With `gateway.passthrough`, which the config sets, only those that ask for a client certificate are refused.
    """
    raw = {route.place: servers for route, servers in _raw_servers(cluster, gateway)}
    # With a client certificate Istio sees a principal, which no condition of a policy can tell from an admitted one.
    impossible = sorted(str(name) for name, servers in raw.items() if any(map(_asks_for_certificate, servers)))
    reason = f"through {gateway.service} without reading a host; a policy of this stack would end the connections"
    if impossible:
        raise cluster.problem(
            f"serves TCP with client certificates by Gateway {', '.join(impossible)} {reason}; move it to another "
            "ingress or egress gateway"
        )
    if raw and not gateway.passthrough:
        names = ", ".join(sorted(map(str, raw)))
        raise cluster.problem(
            f"forwards TLS or TCP by Gateway {names} {reason}; set this to true, or move it to another ingress or "
            "egress gateway",
            f"{cluster.access.path}.gatewayPassthrough",
        )


def _raw_servers(cluster: Cluster, gateway: IstioGateway) -> Iterator[tuple[Route, list[Mapping[str, Any]]]]:
    """Yield each Gateway on these Pods that has raw servers, and these."""
    for route in routes(cluster, "Gateway"):
        servers = route.spec.get("servers", []) if route.selects(gateway.labels) else []
        if raw := [server for server in servers if _is_raw(server)]:
            yield route, raw


def _is_raw(server: Mapping[str, Any]) -> bool:
    return server["port"]["protocol"].upper() in _RAW_PROTOCOLS or _mode(server) in _RAW_MODES


def _asks_for_certificate(server: Mapping[str, Any]) -> bool:
    return _mode(server) in _MUTUAL_MODES


def _mode(server: Mapping[str, Any]) -> str:
    return str(server.get("tls", {}).get("mode", ""))
