"""Ports of Services: the protocol that Istio reads, and whether a Pod's sidecar takes their connections."""

from typing import Any

import pytest

from clusters import service_ports

# As ConvertProtocol of Istio decides.
PROTOCOLS: list[tuple[dict[str, Any], bool, bool]] = [
    ({}, False, False),
    ({"name": "web"}, False, False),
    ({"name": "http"}, True, False),
    ({"name": "HTTP-api"}, True, False),
    ({"name": "http2-api"}, True, False),
    ({"name": "grpc"}, True, False),
    ({"name": "grpc-web-api"}, True, False),
    ({"name": "httpx"}, False, False),
    ({"name": "tcp-http"}, False, False),
    ({"name": "https"}, False, True),
    ({"name": "tls-api"}, False, True),
    ({"name": "https", "appProtocol": "http"}, True, False),
    ({"name": "http", "appProtocol": "kubernetes.io/wss"}, False, True),
    ({"appProtocol": "kubernetes.io/h2c"}, True, False),
    ({"appProtocol": "kubernetes.io/ws"}, True, False),
    ({"name": "http", "appProtocol": "tcp"}, False, False),
]


@pytest.mark.parametrize(("port", "is_http", "is_tls"), PROTOCOLS)
def test_protocol_is_that_of_app_protocol_or_name(port: dict[str, Any], is_http: bool, is_tls: bool) -> None:
    port = {"port": 8080, **port}
    assert (service_ports.is_http(port), service_ports.is_tls(port)) == (is_http, is_tls)
