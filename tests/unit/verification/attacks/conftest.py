"""Services of the target cluster."""

from types import SimpleNamespace

import pytest
from kubernetes.client import CoreV1Api


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> None:
    """Return a Service with one Pod behind it, and that of the ingress gateway."""
    port = SimpleNamespace(port=8000, target_port=8080)
    service = SimpleNamespace(spec=SimpleNamespace(selector={"app": "httpbin"}, ports=[port]))
    ports = [SimpleNamespace(port=80, target_port=8080), SimpleNamespace(port=443, target_port=8443)]
    gateway = SimpleNamespace(spec=SimpleNamespace(selector={"app": "gateway"}, ports=ports))
    read = {"istio-ingressgateway": gateway, "istio-egressgateway": gateway}
    pod = SimpleNamespace(status=SimpleNamespace(pod_ip="10.0.0.7"))
    monkeypatch.setattr(CoreV1Api, "read_namespaced_service", lambda _, name, *__, **___: read.get(name, service))
    monkeypatch.setattr(CoreV1Api, "list_namespaced_pod", lambda *_, **__: SimpleNamespace(items=[pod]))
