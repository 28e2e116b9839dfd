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


@pytest.mark.parametrize(
    ("annotations", "target", "captured"),
    [
        (None, 8080, True),
        ({}, "web", True),
        ({"traffic.sidecar.istio.io/excludeInboundPorts": "9090"}, 8080, True),
        ({"traffic.sidecar.istio.io/excludeInboundPorts": "9090, 8080"}, 8080, False),
        ({"traffic.sidecar.istio.io/excludeInboundPorts": "8080"}, "web", False),
        ({"traffic.sidecar.istio.io/excludeInboundPorts": "8080"}, "other", True),
        ({"traffic.sidecar.istio.io/includeInboundPorts": "*"}, 8080, True),
        ({"traffic.sidecar.istio.io/includeInboundPorts": "8080,9090"}, "web", True),
        ({"traffic.sidecar.istio.io/includeInboundPorts": "9090"}, 8080, False),
        ({"traffic.sidecar.istio.io/includeInboundPorts": ""}, 8080, False),
        ({"sidecar.istio.io/interceptionMode": "NONE"}, 8080, False),
        ({"sidecar.istio.io/interceptionMode": "TPROXY"}, 8080, True),
    ],
)
def test_port_is_captured_unless_annotations_exclude_it(annotations: Any, target: int | str, captured: bool) -> None:
    web = {"name": "app", "ports": [{"name": "web", "containerPort": 8080}]}
    pod = {"metadata": {"name": "a", "annotations": annotations}, "spec": {"containers": [web, {"name": "b"}]}}
    assert service_ports.is_captured(pod, {"port": 80, "targetPort": target}) is captured


def test_target_port_is_the_port_by_default() -> None:
    excluded = {"traffic.sidecar.istio.io/excludeInboundPorts": "80"}
    pod = {"metadata": {"name": "a", "annotations": excluded}, "spec": {"containers": []}}
    assert not service_ports.is_captured(pod, {"port": 80})
