"""Ports of Services, as Istio reads them."""

from collections.abc import Mapping
from typing import Any

_HTTP = {"http", "http2", "grpc", "grpc-web", "http_proxy", "kubernetes.io/h2c", "kubernetes.io/ws"}
_TLS = {"https", "tls", "kubernetes.io/wss"}

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


def _protocol(port: Port) -> str:
    """Return the protocol of a port as Istio finds it.

    See ConvertProtocol in https://github.com/istio/istio/blob/master/pkg/config/kube/conversion.go.
    """
    text = named(port).lower()
    if text.startswith("grpc-web"):
        return "grpc-web"
    is_of_kubernetes = text.startswith("kubernetes.io/") and bool(port.get("appProtocol"))
    return text if is_of_kubernetes else text.partition("-")[0]
