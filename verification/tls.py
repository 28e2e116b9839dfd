"""One HTTPS request to a gateway, with or without a client credential."""

import http.client
import os
import socket
import ssl
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field

from verification import http2
from verification.answers import Answer
from verification.checks import Failed

TIMEOUT_SECONDS = 10
REFUSAL_SECONDS = 3
VERSIONS = {
    "TLS 1.2": ssl.TLSVersion.TLSv1_2,
    "TLS 1.3": ssl.TLSVersion.TLSv1_3,
}  # the versions that gateways may offer

HANDSHAKE_FAILURE, PROTOCOL_VERSION = "handshake failure", "protocol version"
ABOUT_CERTIFICATES = {
    *("bad certificate", "certificate expired", "certificate required", "certificate revoked", "certificate unknown"),
    *("unknown ca", "unsupported certificate"),
}

_LONGEST_BODY = 1 << 16


@dataclass(frozen=True)
class ClientCredential:
    """A client's certificate and private key, PEM, in memory only."""

    certificate: bytes
    key: bytes = field(repr=False)


@dataclass(frozen=True)
class Endpoint:
    """A gateway, and the domain to ask it for.

    domain: in SNI and Host
    address: IP address or host name of the gateway; empty for the domain itself
    ca: PEM of the CA that must have signed the gateway's certificate
    """

    domain: str
    address: str
    ca: str
    port: int = 443

    def request(
        self,
        method: str,
        path: str,
        credential: ClientCredential | None,
        version: ssl.TLSVersion | None = None,
        *,
        host: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a request and return the answer; raise OSError or HTTPException if there is none.

        version: of TLS; 1.2 or 1.3 by default
        host: in the Host header; the domain of SNI by default
        headers: further headers
        """
        oldest, newest = (version, version) if version else (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
        with closing(http.client.HTTPConnection(self.domain)) as connection:
            connection.sock = self.connect(credential, oldest, newest)
            connection.request(method, path, headers={"Host": host or self.domain, **(headers or {})})
            return _answer(connection.getresponse())

    def requests(self, credential: ClientCredential, *requests: tuple[str, str]) -> list[Answer]:
        """Send requests, each a method and a path, over one connection; return the answers until the server ends it.

        Raise OSError or HTTPException if there is no answer at all.
        """
        answers: list[Answer] = []
        with closing(http.client.HTTPConnection(self.domain)) as connection:
            connection.sock, connection.auto_open = self.connect(credential), 0
            for method, path in requests:
                try:
                    connection.request(method, path, headers={"Host": self.domain})
                    response = connection.getresponse()
                except (OSError, http.client.HTTPException):
                    if not answers:
                        raise
                    break
                answers.append(_answer(response))
                if response.length == 0:
                    response.read()  # closes it, which the last part alone does not
                if not response.isclosed() or response.will_close:  # a body that is longer than what is read of one
                    break
        return answers

    def request_http2(self, method: str, path: str, credential: ClientCredential | None, *, host: str = "") -> Answer:
        """Send a request by HTTP/2; raise Failed if the gateway does not offer it."""
        with closing(self.connect(credential, alpn=("h2",))) as connection:
            if connection.selected_alpn_protocol() != "h2":
                raise Failed("the gateway does not offer HTTP/2")
            return http2.request(connection, method, path, host or self.domain)

    def alert(
        self, credential: ClientCredential | None, version: ssl.TLSVersion, alpn: tuple[str, ...] = ()
    ) -> str | None:
        """Return the TLS alert by which the gateway refuses this version; None if it accepts.

        Raise OSError if the gateway does not speak TLS.
        """
        try:
            with self.connect(credential, version, version, alpn) as connection:
                # In TLS 1.3 the refusal follows the handshake. Sending first could lose it to a reset.
                connection.settimeout(REFUSAL_SECONDS)
                try:
                    if not connection.recv(1):
                        raise ConnectionError("closed without an alert")
                except TimeoutError:
                    pass
        except ssl.SSLError as error:
            return alert_of(error)
        return None

    def connect(
        self,
        credential: ClientCredential | None,
        oldest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2,
        newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
        alpn: tuple[str, ...] = (),
    ) -> ssl.SSLSocket:
        """Return a connection after its handshake, by a version of TLS from the oldest to the newest."""
        context = ssl.create_default_context(cadata=self.ca)
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # a user's own chain may end below the root
        if newest < ssl.TLSVersion.TLSv1_2:
            context.set_ciphers("DEFAULT:@SECLEVEL=0")  # at its default level, OpenSSL itself refuses old versions
        context.minimum_version, context.maximum_version = oldest, newest
        if alpn:
            context.set_alpn_protocols(list(alpn))
        if credential:
            _load(context, credential)
        with closing(
            self.plain()
        ) as plain:  # wrap_socket detaches the plain socket, so closing it leaves the connection open
            return context.wrap_socket(plain, server_hostname=self.domain)

    def plain(self) -> socket.socket:
        """Return a connection without TLS."""
        return socket.create_connection((self.address or self.domain, self.port), TIMEOUT_SECONDS)


def alert_of(error: ssl.SSLError) -> str:
    """Return the name of the TLS alert in an error; raise the error if it has none."""
    _, found, alert = (error.reason or "").partition("ALERT_")
    if not found:
        raise error
    return alert.replace("_", " ").lower()


def _answer(response: http.client.HTTPResponse) -> Answer:
    found = {name.lower(): value for name, value in response.headers.items()}
    return Answer(response.status, found, _beginning(response).decode(errors="replace"))


def _beginning(response: http.client.HTTPResponse) -> bytes:
    # A user's service may send a long or endless body.
    body, end = b"", time.monotonic() + TIMEOUT_SECONDS
    try:
        while len(body) < _LONGEST_BODY and time.monotonic() < end and (part := response.read1(_LONGEST_BODY)):
            body += part
    except TimeoutError:
        pass
    return body


def _load(context: ssl.SSLContext, credential: ClientCredential) -> None:
    # The ssl module takes files only; pipes keep the key off every disk.
    files = [_pipe(credential.certificate), _pipe(credential.key)]
    try:
        context.load_cert_chain(*(f"/dev/fd/{file}" for file in files))
    except OSError as error:  # ssl.SSLError included; without PEM in it, OpenSSL reads a pipe beyond its end
        reason = getattr(error, "reason", "") or "no PEM"
        raise Failed(f"the credential is no certificate with its key: {reason}") from None
    finally:
        for file in files:
            os.close(file)


def _pipe(content: bytes) -> int:
    read, write = os.pipe()
    with os.fdopen(write, "wb") as file:
        file.write(content)
    return read
