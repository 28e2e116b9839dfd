"""A client's cluster: its credential, its log and its demo."""

import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from kubernetes.client import ApiException, CoreV1Api

from tests.unit.verification.fake_core import fake_core
from verification.checks import Failed
from verification.tls import ClientCredential


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "Secret istio-system/credential has no tls.crt and no tls.key"),
        ({"tls.crt": "eA=="}, "Secret istio-system/credential has no tls.key"),
    ],
)
def test_secret_without_a_credential_fails_the_check(
    monkeypatch: pytest.MonkeyPatch, data: Mapping[str, str] | None, message: str
) -> None:
    cluster = fake_core(monkeypatch, read_namespaced_secret=lambda *_: SimpleNamespace(data=data))
    with pytest.raises(Failed, match=message):
        cluster.credential()


def test_missing_secret_fails_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> None:
        raise ApiException(404, "Not Found")

    with pytest.raises(Failed, match="Secret istio-system/credential is missing"):
        fake_core(monkeypatch, read_namespaced_secret=missing).credential()


def test_credential_is_read_from_its_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    data = {"tls.crt": base64.b64encode(b"certificate").decode(), "tls.key": base64.b64encode(b"key").decode()}
    cluster = fake_core(monkeypatch, read_namespaced_secret=lambda *_: SimpleNamespace(data=data))
    assert cluster.credential() == ClientCredential(b"certificate", b"key")


def test_log_of_every_egress_gateway_is_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    pods = [SimpleNamespace(metadata=SimpleNamespace(name=name)) for name in ("one", "two")]
    cluster = fake_core(
        monkeypatch,
        read_namespaced_service=lambda *_: SimpleNamespace(spec=SimpleNamespace(selector={"istio": "egress"})),
        list_namespaced_pod=lambda *_: SimpleNamespace(items=pods),
        read_namespaced_pod_log=lambda name, _: f"{name} GET /a\n{name} GET /b",
    )
    assert cluster.wait_for_log("two GET /b", datetime.now(UTC)) == "two GET /b"
    with pytest.raises(Failed, match="the egress gateway's log has no line of this request"):
        cluster.wait_for_log("GET /c", datetime(2020, 1, 1, tzinfo=UTC))


def test_log_is_that_of_the_proxy_container(monkeypatch: pytest.MonkeyPatch) -> None:
    containers: list[str] = []

    def read(*_: object, container: str, **__: object) -> str:
        containers.append(container)
        return "GET /a"

    pods = [SimpleNamespace(metadata=SimpleNamespace(name="one"))]
    cluster = fake_core(
        monkeypatch,
        read_namespaced_service=lambda *_: SimpleNamespace(spec=SimpleNamespace(selector={"istio": "egress"})),
        list_namespaced_pod=lambda *_: SimpleNamespace(items=pods),
    )
    monkeypatch.setattr(CoreV1Api, "read_namespaced_pod_log", read)
    assert cluster.wait_for_log("GET /a", datetime.now(UTC)) == "GET /a"
    assert containers == ["istio-proxy"]


def test_demo_without_a_ready_pod_fails_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = fake_core(monkeypatch, list_namespaced_pod=lambda *_: SimpleNamespace(items=[]))
    with pytest.raises(Failed, match="no curl Pod is ready in namespace mtls"):
        cluster.curl("http://httpbin.example.com")
