"""Ports of Services, as Istio reads them, and whether the sidecars behind them take their connections."""

from collections.abc import Mapping
from typing import Any

from clusters.pods import Pod, annotation, containers

_HTTP = {"http", "http2", "grpc", "grpc-web", "http_proxy", "kubernetes.io/h2c", "kubernetes.io/ws"}
_TLS = {"https", "tls", "kubernetes.io/wss"}
_TRAFFIC = "traffic.sidecar.istio.io"
_EXCLUDED, _INCLUDED = f"{_TRAFFIC}/excludeInboundPorts", f"{_TRAFFIC}/includeInboundPorts"
_MODE = "sidecar.istio.io/interceptionMode"

Port = Mapping[str, Any]


def named(port: Port) -> str:
    """Return what Istio reads a port's protocol from: its appProtocol, else its name; empty if it has neither."""
    return str(port.get("appProtocol") or port.get("name") or "")


def is_http(port: Port) -> bool:
    """Return whether Istio reads the protocol of a port as HTTP."""
    return _protocol(port) in _HTTP


def is_tls(port: Port) -> bool:
    """Return whether Istio reads the protocol of a port as TLS, which the server itself speaks."""
    return _protocol(port) in _TLS


def is_captured(pod: Pod, port: Port) -> bool:
    """Return whether a Pod's sidecar takes the connections to a Service's port; true if the Pod does not serve it.

    See https://istio.io/latest/docs/reference/config/annotations/.
    """
    target = port.get("targetPort") or port["port"]
    open_ports = [opened for each in containers(pod) for opened in each.get("ports") or ()]
    numbers = {opened["containerPort"] for opened in open_ports if opened.get("name") == target}
    number = next(iter(numbers), None) if isinstance(target, str) else target
    included, excluded = annotation(pod, _INCLUDED), _listed(annotation(pod, _EXCLUDED) or "")
    is_included = included is None or bool({"*", str(number)} & _listed(included))
    return number is None or (is_included and str(number) not in excluded and annotation(pod, _MODE) != "NONE")


def _protocol(port: Port) -> str:
    """Return the protocol of a port as Istio finds it.

    See ConvertProtocol in https://github.com/istio/istio/blob/master/pkg/config/kube/conversion.go.
    """
    text = named(port).lower()
    if text.startswith("grpc-web"):
        return "grpc-web"
    is_of_kubernetes = text.startswith("kubernetes.io/") and bool(port.get("appProtocol"))
    return text if is_of_kubernetes else text.partition("-")[0]


def _listed(text: str) -> set[str]:
    return {entry.strip() for entry in text.split(",")}
