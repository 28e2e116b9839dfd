"""One HTTPS request, to a real server that requires a client certificate."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.unit.deployed import (
    CA,
    demo_stack,
)
from tests.unit.pki import Holder, issue
from tests.unit.verification.promises import FIRST
from tests.unit.verification.trying import FakeCluster, outcome
from verification.checks import Failed
from verification.tls import ClientCredential, Endpoint


class Handler(BaseHTTPRequestHandler):
    """Answers GET with a few words, and HEAD with their length."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello" if self.command == "GET" else b"")

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


class QuietServer(ThreadingHTTPServer):
    """Says nothing of handshakes that fail."""

    def handle_error(self, *_: object) -> None:
        pass

    def finish_request(self, request: Any, address: Any) -> None:
        request.do_handshake()
        super().finish_request(request, address)


SERVER_CA, CLIENT_CA = issue("server CA"), issue("client CA")


def credential(signer: Holder | None) -> ClientCredential:
    holder = issue("client", signer, hosts=("client.test",), usage=ExtendedKeyUsageOID.CLIENT_AUTH)
    return ClientCredential(holder.pem.encode(), holder.key_pem.encode())


@contextmanager
def serving(directory: Path) -> Iterator[Endpoint]:
    server = issue("localhost", SERVER_CA, hosts=("localhost",))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=CLIENT_CA.pem)
    context.verify_mode = ssl.CERT_REQUIRED
    (directory / "server.pem").write_text(server.pem + server.key_pem)
    context.load_cert_chain(directory / "server.pem")
    with QuietServer(("127.0.0.1", 0), Handler) as listening:
        listening.socket = context.wrap_socket(listening.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        try:
            yield Endpoint("localhost", "127.0.0.1", SERVER_CA.pem, listening.server_address[1])
        finally:
            listening.shutdown()
            thread.join()


def test_request_presents_the_credential_and_reads_the_answer(tmp_path: Path) -> None:
    with serving(tmp_path) as endpoint:
        answer = endpoint.request("GET", "/", credential(CLIENT_CA))
        assert (answer.status, answer.headers["content-length"], answer.body) == (200, "5", "hello")
        answer = endpoint.request("HEAD", "/", credential(CLIENT_CA), ssl.TLSVersion.TLSv1_2)
        assert (answer.status, answer.headers["content-length"], answer.body) == (200, "5", "")


@pytest.mark.parametrize(("protocol", "answers"), [("HTTP/1.1", 3), ("HTTP/1.0", 1)])
def test_requests_share_a_connection_until_the_server_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: str, answers: int
) -> None:
    monkeypatch.setattr(Handler, "protocol_version", protocol)
    opened: list[Endpoint] = []
    plain = Endpoint.plain

    def counted(endpoint: Endpoint) -> socket.socket:
        opened.append(endpoint)
        return plain(endpoint)

    monkeypatch.setattr(Endpoint, "plain", counted)
    with serving(tmp_path) as endpoint:
        got = endpoint.requests(credential(CLIENT_CA), ("GET", "/"), ("HEAD", "/"), ("GET", "/"))
    assert [answer.body for answer in got] == ["hello", "", "hello"][:answers]
    assert len(opened) == 1


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_refusal_by_tls_is_distinguished_from_acceptance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: ssl.TLSVersion
) -> None:
    monkeypatch.setattr("verification.tls.REFUSAL_SECONDS", 0.2)
    with serving(tmp_path) as endpoint:
        assert endpoint.alert(None, version)
        assert endpoint.alert(credential(None), version)
        assert endpoint.alert(credential(CLIENT_CA), version) is None


def test_gateway_without_an_answer_is_no_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    def time_out(*_: object) -> None:
        raise TimeoutError("timed out")

    monkeypatch.setattr("socket.create_connection", time_out)
    with pytest.raises(TimeoutError):
        Endpoint("localhost", "", CA).alert(None, ssl.TLSVersion.TLSv1_3)
    assert outcome(demo_stack(), FakeCluster(), FIRST[0]) == "FAILED: TLS 1.2: timed out, which is no refusal by TLS"


@pytest.mark.parametrize("key", [issue("other").key_pem.encode(), b"no key"])
def test_unusable_credential_fails_the_check(key: bytes) -> None:
    with pytest.raises(Failed, match="the credential is no certificate with its key"):
        Endpoint("localhost", "127.0.0.1", CA).request("GET", "/", ClientCredential(issue("a").pem.encode(), key))
