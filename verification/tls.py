"""One HTTPS request to a gateway, with any client credential or none."""

import http.client
import os
import socket
import ssl
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

TIMEOUT_SECONDS = 10
REFUSAL_SECONDS = 3
VERSIONS = {"TLS 1.2": ssl.TLSVersion.TLSv1_2, "TLS 1.3": ssl.TLSVersion.TLSv1_3}  # those in use


@dataclass(frozen=True)
class ClientCredential:
    """A client's certificate and private key, PEM, in memory only."""

    certificate: bytes
    key: bytes


@dataclass(frozen=True)
class Endpoint:
    """A gateway's `address` and the `domain` asked of it (SNI, Host); `ca` (PEM) must have signed its certificate."""

    domain: str
    address: str
    ca: str

    def get(self, path: str, credential: ClientCredential) -> tuple[int, bytes]:
        """Status and body of a GET; ssl.SSLError or OSError when there is none."""
        with closing(http.client.HTTPSConnection(self.domain, timeout=TIMEOUT_SECONDS)) as connection:
            connection.sock = self._handshake(credential, *VERSIONS.values())
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()

    def alert(self, credential: ClientCredential | None, version: ssl.TLSVersion) -> str | None:
        """The TLS alert by which exactly this version is refused; None if it isn't. OSError when there is no TLS."""
        try:
            with self._handshake(credential, version, version) as connection:
                # In TLS 1.3 the refusal follows the handshake. Sending first could lose it to a reset.
                connection.settimeout(REFUSAL_SECONDS)
                if not connection.recv(1):
                    raise ConnectionError("closed without an alert")
        except ssl.SSLError as error:
            _, found, alert = (error.reason or "").partition("ALERT_")
            if not found:
                raise
            return alert.replace("_", " ").lower()
        except TimeoutError:
            pass
        return None

    def _handshake(
        self, credential: ClientCredential | None, oldest: ssl.TLSVersion, newest: ssl.TLSVersion
    ) -> ssl.SSLSocket:
        context = ssl.create_default_context(cadata=self.ca)
        context.minimum_version, context.maximum_version = oldest, newest
        if credential:
            _load(context, credential)
        plain = socket.create_connection((self.address or self.domain, 443), TIMEOUT_SECONDS)
        with closing(plain):  # once wrapped, it is no longer the plain one's to close
            return context.wrap_socket(plain, server_hostname=self.domain)


def foreign_credential(subject: x509.Name) -> ClientCredential:
    """A credential with the given subject whose CA is its own."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(subject_name=subject, issuer_name=subject, public_key=key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return ClientCredential(
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )


def _load(context: ssl.SSLContext, credential: ClientCredential) -> None:
    # The ssl module takes files only; pipes keep the key off every disk.
    files = [_pipe(credential.certificate), _pipe(credential.key)]
    try:
        context.load_cert_chain(*(f"/dev/fd/{file}" for file in files))
    finally:
        for file in files:
            os.close(file)


def _pipe(content: bytes) -> int:
    read, write = os.pipe()
    with os.fdopen(write, "wb") as file:
        file.write(content)
    return read
