"""Certificates that end soon."""

import socket
import ssl
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from pipeline import expiry
from tests.unit.deployed import ACME, HTTPBIN, KYMA_GATEWAY, PARTNER, TARGET, WAREHOUSE, outputs_of, settings_of
from tests.unit.pki import Holder, issue
from verification.deployed_outputs import read_outputs
from verification.tls import Endpoint


def ending(**days: int) -> list[str]:
    """Return the report on a stack whose certificates end in these numbers of days, by name; 1000 by default."""

    def pem(name: str, **options: Any) -> str:
        return issue(name, end=timedelta(days=days.get(name, 1000)), **options).pem

    used = {"uris": ("spiffe://acme.example/us",), "usage": ExtendedKeyUsageOID.CLIENT_AUTH}
    credentials = {"warehouse": {"certificate": pem("credential", **used)}}
    external = {"certificateAuthority": pem("partner"), "credentials": credentials}
    settings = settings_of(
        target=TARGET,
        clients={"warehouse": WAREHOUSE, "acme": {**ACME, "certificateAuthority": pem("old") + pem("acme")}},
        hosts={
            "httpbin": {**HTTPBIN, "clients": ["acme"]},
            "api": {**PARTNER, "external": external, "clients": ["warehouse"]},
        },
    )
    return expiry.ending(settings, read_outputs("prod", outputs_of(settings), settings), datetime.now(UTC))


def test_certificates_that_end_later_are_not_reported() -> None:
    assert ending() == []
    assert ending(acme=31, partner=31, credential=31) == []


def test_old_ca_may_end_beside_the_next() -> None:
    assert ending(old=1) == []


@pytest.mark.parametrize(
    ("days", "path", "remedy"),
    [
        ({"old": 1, "acme": 29}, "clients.acme.certificateAuthority", "ask the partner for the next CA"),
        ({"partner": 29}, "hosts.api.external.certificateAuthority", "ask the partner for the next CA"),
        (
            {"credential": 0},
            "hosts.api.external.credentials.warehouse.certificate",
            "ask the partner for a new certificate",
        ),
    ],
)
def test_partners_certificate_that_ends_soon_is_reported_with_remedy(
    days: dict[str, int], path: str, remedy: str
) -> None:
    (line,) = ending(**days)
    assert line.startswith(f"kyma-mtls:{path}: ends on ")
    assert remedy in line


def test_own_gateway_certificate_that_ends_soon_is_reported() -> None:
    own = issue("gateway", hosts=("*.kyma.example.com",), end=timedelta(days=20))
    gateway = {"gatewayMode": "own", "gatewayDomain": "kyma.example.com"}
    settings = settings_of(target=TARGET, **gateway, gatewayCertificate=own.pem, gatewayKey=own.key_pem)
    outputs = read_outputs("prod", outputs_of(settings) | {"gateway": KYMA_GATEWAY}, settings)
    (line,) = expiry.ending(settings, outputs, datetime.now(UTC))
    assert line.startswith("kyma-mtls:gatewayCertificate: ends on ")
    assert "set a new one" in line


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., list[str]]]:
    """Serve a Kyma gateway's certificate that ends in a number of days; return the report on it."""
    with ExitStack() as stack:

        def ask(days: int, mode: str, *, trusted: bool = True) -> list[str]:
            authority = issue("gateway CA")
            held = issue("gateway", authority, hosts=("*.kyma.example.com",), end=timedelta(days=days))
            port = stack.enter_context(serving(held))
            monkeypatch.setattr(Endpoint, "plain", lambda _: socket.create_connection(("127.0.0.1", port), 10))
            settings = settings_of(target=TARGET, gatewayMode=mode, gatewayDomain="kyma.example.com")
            ca = authority.pem if trusted else issue("other CA").pem
            gateway = {**KYMA_GATEWAY, "address": "127.0.0.1", "caCertificate": ca}
            outputs = read_outputs("prod", outputs_of(settings) | {"gateway": gateway}, settings)
            return expiry.ending(settings, outputs, datetime.now(UTC))

        yield ask


@contextmanager
def serving(held: Holder) -> Iterator[int]:
    """Answer one TLS handshake with this certificate at the port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.num_tickets = 0  # sent after the handshake, when the other side may have closed: a SIGPIPE
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(held.pem + held.key_pem)
        file.flush()
        context.load_cert_chain(file.name)

    def answer() -> None:
        with suppress(OSError), listener.accept()[0] as plain, context.wrap_socket(plain, server_side=True) as tls:
            tls.recv(1)

    with ThreadPoolExecutor() as pool, socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        pool.submit(answer)
        yield int(listener.getsockname()[1])


@pytest.mark.parametrize("mode", ["selfSigned", "gardener"])
def test_certificate_of_kyma_gateway_that_ends_soon_is_reported(served: Callable[..., list[str]], mode: str) -> None:
    assert served(60, mode) == []
    (line,) = served(20, mode)
    assert line.startswith("kyma-mtls:gatewayMode: its certificate ends on ")
    assert ("Gardener has not renewed it" in line) == (mode == "gardener")


def test_invalid_certificate_of_kyma_gateway_is_reported(served: Callable[..., list[str]]) -> None:
    (expired,) = served(-0, "gardener")
    assert "is not valid: certificate has expired" in expired
    (foreign,) = served(60, "gardener", trusted=False)
    assert "is not valid: " in foreign
