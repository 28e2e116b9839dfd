"""One request by HTTP/2."""

import socket
import threading
from collections.abc import Callable
from typing import Any, cast

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import RequestReceived

from tests.unit.deployed import CA
from verification import http2
from verification.answers import Answer
from verification.checks import Failed
from verification.tls import Endpoint


def serve_http2(connection: socket.socket, answer: Callable[[H2Connection, int], None]) -> list[tuple[str, str]]:
    state = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
    state.initiate_connection()
    seen: list[tuple[str, str]] = []
    while not seen:
        connection.sendall(state.data_to_send())
        for event in state.receive_data(connection.recv(1 << 16)):
            if isinstance(event, RequestReceived):
                seen = [(str(name), str(value)) for name, value in event.headers or ()]
                answer(state, event.stream_id or 0)
    connection.sendall(state.data_to_send())
    return seen


def asked_by_http2(answer: Callable[[H2Connection, int], None]) -> tuple[Answer | str, list[tuple[str, str]]]:
    ours, theirs = socket.socketpair()
    seen: list[tuple[str, str]] = []
    thread = threading.Thread(target=lambda: seen.extend(serve_http2(theirs, answer)))
    thread.start()
    with ours, theirs:
        try:
            return http2.request(cast(Any, ours), "GET", "/headers", "a.test"), seen
        except ConnectionError as error:
            return str(error), seen
        finally:
            thread.join()


def test_request_by_http2_is_answered() -> None:
    def answer(state: H2Connection, stream: int) -> None:
        state.send_headers(stream, [(":status", "403"), ("server", "istio-envoy")])
        state.send_data(stream, b"RBAC: access denied", end_stream=True)

    seen, request = asked_by_http2(answer)
    assert seen == Answer(403, {"server": "istio-envoy"}, "RBAC: access denied")
    assert request == [(":method", "GET"), (":scheme", "https"), (":authority", "a.test"), (":path", "/headers")]


def test_reset_stream_is_no_answer() -> None:
    seen, _ = asked_by_http2(lambda state, stream: state.reset_stream(stream, 7))
    assert seen == "HTTP/2 ended by StreamReset, error 7"


def test_gateway_without_http2_fails_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    class Connection:
        def selected_alpn_protocol(self) -> None:
            return None

        def close(self) -> None:
            pass

    monkeypatch.setattr(Endpoint, "connect", lambda *_, **__: Connection())
    with pytest.raises(Failed, match="the gateway does not offer HTTP/2"):
        Endpoint("a.test", "", CA).request_http2("GET", "/", None)
