"""Certificates that end soon although everything was renewed that the stack renews."""

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from cryptography import x509

from outputs import GatewayOutput, Outputs
from settings import PROJECT, Settings, certificate_checks, validity
from settings.gateway import GatewayMode
from verification.tls import Endpoint

_OURS = "`pulumi up` has not renewed it"
_PARTNER_CA = "ask the partner for the next CA, and set it behind this one"
_PARTNER_CREDENTIAL = "ask the partner for another one, and set it"
_OWN = "set another one, with its gatewayKey"
_GARDENER = "Gardener has not renewed it: look at its Certificate in the target"

End = tuple[str, datetime, str]
"""The path of a certificate, its end, and what to do before."""


def ending(settings: Settings, outputs: Outputs, now: datetime) -> list[str]:
    """Return a line for each certificate that ends within renewBeforeDays."""
    limit = now + timedelta(days=settings.renew_before_days)
    ends = [*_issued(outputs), *_brought(settings)]
    lines = [
        f"{PROJECT}:{path}: ends on {end:%Y-%m-%d %H:%M} UTC, within renewBeforeDays "
        f"({settings.renew_before_days}); {remedy}"
        for path, end, remedy in ends
        if end < limit
    ]
    if outputs.gateway and settings.gateway.mode != GatewayMode.OWN:
        lines += _served(settings, outputs.gateway, limit)
    return lines


def _issued(outputs: Outputs) -> Iterator[End]:
    times = {"generation": outputs.ca_expiry}
    times |= {f"hosts.{name}": host.expiry for name, host in outputs.hosts.items()}
    times |= {f"clients.{name}": client.expiry for name, client in outputs.clients.items()}
    yield from ((path, datetime.fromisoformat(time), _OURS) for path, time in times.items() if time)


def _brought(settings: Settings) -> Iterator[End]:
    for path, pem, is_authorities in validity.given(settings):
        ends = [each.not_valid_after_utc for each in certificate_checks.read(pem)]
        if is_authorities:
            yield path, max(ends), _PARTNER_CA
        else:
            yield path, min(ends), _OWN if path == "gatewayCertificate" else _PARTNER_CREDENTIAL


def _served(settings: Settings, gateway: GatewayOutput, limit: datetime) -> Iterator[str]:
    """Ask the Kyma gateway itself: no output has the end of its certificate, which Gardener may have renewed."""
    remedy = _GARDENER if settings.gateway.mode == GatewayMode.GARDENER else _OURS
    try:
        with Endpoint(f"expiry.{gateway.domain}", gateway.address, gateway.ca_certificate).connect(None) as connection:
            served = connection.getpeercert(binary_form=True) or b""
        end = x509.load_der_x509_certificate(served).not_valid_after_utc
    except ssl.SSLCertVerificationError as error:
        yield f"{PROJECT}:gatewayMode: the Kyma gateway's certificate is not valid: {error.verify_message}; {remedy}"
    except OSError as error:
        yield f"{PROJECT}:gatewayMode: the Kyma gateway does not show its certificate: {error.strerror or error}"
    else:
        if end < limit:
            yield f"{PROJECT}:gatewayMode: its certificate ends on {end:%Y-%m-%d %H:%M} UTC; {remedy}"


def now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)
