"""What tests of the Kyma gateway share: handshakes with it, and stand-ins for what the lab has no controllers for."""

import json
import socket
import ssl
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from cryptography import x509

from tests.e2e.support.lab import Lab
from tests.e2e.support.waiting import eventually, meanwhile

PROXY_ADDRESS = "10.77.0.99"
OVERRIDES = {"installer": "overrides", "kyma-project.io/installation": ""}
TAKING_OVER: dict[str, Any] = {
    "gatewayTakeOver": "true",
    "gatewayApiserverProxy": "true",
    "gatewayLegacyInstaller": "true",
}
PROMISES = ("the Kyma gateway", "the stack's objects", "is admitted", "plain HTTP to")
"""Words of the promises that a change of the Kyma gateway may break."""

_KEY_MARKS = (
    "PRIVATE KEY",
    *(b64encode(b"-----BEGIN " + kind)[:24].decode() for kind in (b"PRIVATE", b"EC PRIV", b"RSA PRI")),
)


def expect_no_private_key(text: str, place: str) -> None:
    """Expect that a text has no private key, neither as PEM nor in Base64."""
    assert not [mark for mark in _KEY_MARKS if mark in text], f"a private key is in the {place}"


@contextmanager
def attended(lab: Lab, namespace: str = "kyma-system") -> Iterator[None]:
    """Stand in for what gives load balancers their addresses: the lab does so for its gateways only."""
    address = json.dumps({"status": {"loadBalancer": {"ingress": [{"ip": PROXY_ADDRESS}]}}})
    patch = ("-n", namespace, "patch", "service", "apiserver-proxy-ssl", "--subresource=status")
    patched: list[str] = []

    def attend() -> None:
        if not any(patched):  # the address stays
            patched.append(lab.kubectl("target", *patch, "--type=merge", "-p", address, check=False))

    with meanwhile(attend):
        yield


def presented(lab: Lab, host: str, ca: str = "") -> x509.Certificate:
    """Return the certificate that the gateway presents for a host; `ca` (PEM) must have signed it, if given."""
    with (
        closing(socket.create_connection((lab.ingress, 443), 10)) as plain,
        _context(ca).wrap_socket(plain, server_hostname=host) as tls,
    ):
        return x509.load_der_x509_certificate(tls.getpeercert(binary_form=True) or b"")


@cache
def _context(ca: str) -> ssl.SSLContext:
    """Return the context of connections, each with a handshake of its own: no session is resumed."""
    return ssl.create_default_context(cadata=ca) if ca else ssl._create_unverified_context()  # noqa: S323


def await_presented(lab: Lab, host: str, ca: str) -> x509.Certificate:
    """Wait until the gateway presents a certificate for a host that `ca` (PEM) has signed, and return it."""
    found: list[x509.Certificate] = []

    def is_presented() -> bool:
        with suppress(OSError):
            found.append(presented(lab, host, ca))
        return bool(found)

    eventually(is_presented, f"a certificate of this CA is presented for {host}")
    return found[0]


def load(pem: str) -> x509.Certificate:
    """Return the first certificate of a PEM text."""
    return x509.load_pem_x509_certificate(pem.encode())


@dataclass
class Callers:
    """Connect anew again and again, and remember which certificates were presented and what was refused."""

    lab: Lab
    host: str
    ca: str = ""
    seen: list[x509.Certificate] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def latest(self) -> set[x509.Certificate]:
        """The certificates that were presented lately."""
        return set(self.seen[-50:])

    @contextmanager
    def running(self) -> Iterator[None]:
        """Connect beside what is done in the context."""
        with meanwhile(self._call, 0.02), meanwhile(self._call, 0.02):
            yield

    def _call(self) -> None:
        try:
            self.seen.append(presented(self.lab, self.host, self.ca))
        except OSError as error:
            self.failures.append(str(error))
