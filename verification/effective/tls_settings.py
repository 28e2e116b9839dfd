"""Judges the TLS of a proxy: certificates by their fingerprints, versions and ciphers."""

import base64
from collections.abc import Iterator, Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from proxies.dump import Dump
from proxies.tls import Tls
from settings import ConfigError
from verification.stack import DeployedStack

CA = "-cacert"
_SHOWN = 16
_OLD = ("TLSv1_0", "TLSv1_1")


def fingerprints(pem: str) -> list[str]:
    """Return the SHA-256 fingerprints of the certificates in a text, in its order; none if it has none."""
    try:
        found = x509.load_pem_x509_certificates(pem.encode())
    except ValueError:
        return []
    return [each.fingerprint(hashes.SHA256()).hex() for each in found]


def signed(stack: DeployedStack, kind: str, name: str) -> str:
    """Return the PEM of the certificate that the stack's CA signed for a host or a client."""
    resource = f"certificates-{kind}-{name}.{stack.settings.generation}"
    if resource not in stack.state.certificates:
        raise ConfigError(f"stack {stack.name}: its state has no certificate {resource}; run `pulumi up`")
    return stack.state.certificates[resource]


def shown(dump: Dump, secret: str, wanted: Sequence[str]) -> Iterator[str]:
    """Yield what is wrong with the certificate of a Secret that a proxy shows.

    wanted: fingerprints of the certificate and of those that follow it
    """
    found = _received(dump, secret)
    if found != list(wanted):
        yield f"shows certificate {_brief(found)} of Secret {secret or 'none'}, not {_brief(wanted)}"


def trusted(dump: Dump, secret: str, wanted: Sequence[str]) -> Iterator[str]:
    """Yield what is wrong with the CAs of a Secret, whose name ends in -cacert, that a proxy trusts.

    wanted: their fingerprints
    """
    found = _received(dump, secret)
    if further := sorted({*found} - {*wanted}):
        yield f"trusts CA {_brief(further)} of Secret {secret}, which the stack does not"
    if missing := sorted({*wanted} - {*found}):
        yield f"does not trust CA {_brief(missing)}"


def strength(tls: Tls) -> Iterator[str]:
    """Yield old versions of TLS, weak ciphers, and checks of certificates that are left out."""
    if tls.minimum in _OLD:
        yield f"speaks {tls.minimum}"
    if tls.maximum in _OLD:
        yield f"speaks no version above {tls.maximum}"
    # Envoy's own default has no other: https://www.envoyproxy.io/docs/envoy/latest/api-v3/extensions/transport_sockets/tls/v3/common.proto
    if weak := [each for each in tls.ciphers if not ("GCM" in each or "CHACHA20" in each)]:
        yield f"has the ciphers {', '.join(weak)}"
    yield from (f"has {field} set" for field in tls.lenient)


def _received(dump: Dump, secret: str) -> list[str]:
    try:
        return fingerprints(base64.b64decode(dump.secrets.get(secret, "")).decode())
    except ValueError:
        return []


def _brief(found: Sequence[str]) -> str:
    return ", ".join(f"sha256:{each[:_SHOWN]}" for each in found) or "none"
