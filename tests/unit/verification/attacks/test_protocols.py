"""Protocols that a host must refuse."""

import ssl
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests.unit.deployed import (
    CA,
    demo_stack,
)
from tests.unit.verification.promises import (
    OLD_TLS,
    PLAIN,
)
from tests.unit.verification.trying import attacked
from verification.stack import DeployedStack
from verification.tls import Endpoint


@pytest.mark.parametrize(
    ("alert", "expected"),
    [
        ("protocol version", "alert protocol version"),
        ("handshake failure", "FAILED: alert handshake failure"),
        (None, "FAILED: a handshake by TLS 1.1 succeeded"),
    ],
)
def test_tls_before_1_2_must_be_refused_for_its_version(
    monkeypatch: pytest.MonkeyPatch, alert: str | None, expected: str
) -> None:
    def refuse(_: Endpoint, __: object, version: ssl.TLSVersion) -> str | None:
        assert version.name == "TLSv1_1"
        return alert

    monkeypatch.setattr(Endpoint, "alert", refuse)
    assert attacked(demo_stack(), OLD_TLS) == expected


@pytest.mark.parametrize("speaks", [True, False])
def test_plain_http_must_get_no_answer(monkeypatch: pytest.MonkeyPatch, speaks: bool) -> None:
    class Handler(BaseHTTPRequestHandler):
        def handle_one_request(self) -> None:
            self.rfile.readline()
            if speaks:
                self.wfile.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            self.close_connection = True

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        endpoint = Endpoint("httpbin.example.com", "127.0.0.1", CA, server.server_port)
        monkeypatch.setattr(DeployedStack, "endpoint", lambda *_: endpoint)
        seen = attacked(demo_stack(), PLAIN)
        thread.join()
    if speaks:
        assert seen == "FAILED: got HTTP/1.1 400 Bad Request"
    else:
        assert seen in ("the connection was closed", "the connection was reset")
