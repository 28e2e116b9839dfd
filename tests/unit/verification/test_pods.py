"""Commands in Pods."""

from dataclasses import dataclass
from types import SimpleNamespace

import pytest
import websocket
from kubernetes.client import ApiClient, ApiException

from tests.unit.verification.fake_core import fake_core
from verification.checks import Skipped, Unjudged
from verification.pods import Executed, execute, target_port


@dataclass
class FakeSession:
    """A command in a Pod: its exit code, or the error that the connection raises."""

    code: int | Exception | None

    def run_forever(self, timeout: float) -> None:
        assert timeout > 0

    @property
    def returncode(self) -> int | None:
        if isinstance(self.code, Exception):
            raise self.code
        return self.code

    def read_stdout(self) -> str:
        return "out"

    def read_stderr(self) -> str:
        return ""

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (7, Executed(7, "out", "")),
        (None, "the command in the Pod did not end within"),
        (KeyError("details"), "the API server reported no exit code"),
        (TypeError("None"), "the API server reported no exit code"),
        (websocket.WebSocketConnectionClosedException("gone"), "the connection to Pod mtls/curl-1 broke: gone"),
    ],
)
def test_command_in_pod_returns_its_exit_code_or_leaves_the_check_unjudged(
    monkeypatch: pytest.MonkeyPatch, code: int | Exception | None, expected: Executed | str
) -> None:
    ready = SimpleNamespace(conditions=[SimpleNamespace(type="Ready", status="True")])
    pod = SimpleNamespace(metadata=SimpleNamespace(name="curl-1", deletion_timestamp=None), status=ready)
    monkeypatch.setattr("verification.pods.stream", lambda *_, **__: FakeSession(code))
    cluster = fake_core(monkeypatch, list_namespaced_pod=lambda *_: SimpleNamespace(items=[pod]))
    if isinstance(expected, Executed):
        assert cluster.curl("http://httpbin.example.com") == expected
    else:
        with pytest.raises(Unjudged, match=expected):
            cluster.curl("http://httpbin.example.com")


def test_forbidden_command_skips_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ApiException(0, "Handshake status 403 Forbidden -+-+- {'kind': 'Status'}")

    monkeypatch.setattr("verification.pods.stream", refuse)
    with pytest.raises(Skipped, match="the cluster forbids commands in Pod mtls/curl-1"):
        execute(ApiClient(), "mtls", "curl-1", "curl", "curl")


@pytest.mark.parametrize(
    ("target", "expected"), [(8080, 8080), ("web", 9090), ("probe", 9091), ("none", None), (None, 80)]
)
def test_named_port_of_a_service_is_resolved_on_each_pod(target: int | str | None, expected: int | None) -> None:
    def container(**ports: int) -> SimpleNamespace:
        named = [SimpleNamespace(name=name, container_port=number) for name, number in ports.items()]
        return SimpleNamespace(ports=named or None)

    spec = SimpleNamespace(containers=[container(), container(web=9090)], init_containers=[container(probe=9091)])
    assert target_port(SimpleNamespace(spec=spec), SimpleNamespace(port=80, target_port=target)) == expected
