"""What must be true of the certificate and the private key that a user brings for a gateway's domain."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

_SHORTEST_RSA_BITS = 2048  # Envoy refuses to load a shorter one.


@dataclass(frozen=True)
class Checked:
    """`problems`, each with the part that has it, Certificate or Key; none if all is well. `key_type`: RSA or ECDSA."""

    problems: tuple[tuple[str, str], ...]
    key_type: str


def check(certificate: str, key: str, domain: str) -> Checked:
    """Judge a PEM chain, server certificate first and its CA last, and a PEM key; no message holds any of the key."""
    try:
        chain = x509.load_pem_x509_certificates(certificate.encode())
    except ValueError:
        return Checked((("Certificate", "not PEM certificates"),), "")
    problems = [("Certificate", message) for message in _certificate_problems(chain, domain)]
    problems += [("Key", message) for message in _key_problems(key, chain[0])]
    return Checked(tuple(problems), "RSA" if isinstance(chain[0].public_key(), rsa.RSAPublicKey) else "ECDSA")


def chain_end(certificate: str) -> str:
    """The last certificate of a PEM chain, PEM: the CA by which a client knows the server."""
    last = x509.load_pem_x509_certificates(certificate.encode())[-1]
    return last.public_bytes(serialization.Encoding.PEM).decode()


def _certificate_problems(chain: list[x509.Certificate], domain: str) -> Iterator[str]:
    server, now = chain[0], datetime.now(UTC)
    if f"*.{domain}" not in _names(server):
        yield f"not for *.{domain}, but for {', '.join(_names(server)) or 'no DNS name at all'}"
    if not _serves(server):
        yield "its extended key usage lacks server authentication"
    public = server.public_key()
    if isinstance(public, rsa.RSAPublicKey) and public.key_size < _SHORTEST_RSA_BITS:
        yield f"its RSA key has {public.key_size} bits; Envoy wants {_SHORTEST_RSA_BITS} or more"
    if not isinstance(public, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        yield "its key is neither RSA nor ECDSA"
    for certificate in chain:
        if certificate.not_valid_after_utc < now:
            yield f"{_called(certificate)} expired on {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
        if certificate.not_valid_before_utc > now:
            yield f"{_called(certificate)} is not valid before {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
    yield from _chain_problems(chain)


def _chain_problems(chain: list[x509.Certificate]) -> Iterator[str]:
    for signed, signer in pairwise(chain):
        if not _has_signed(signer, signed):
            yield (
                f"{_called(signer)} did not sign {_called(signed)}, which stands before it; "
                "the server's certificate comes first, then the one that signed it, up to its CA"
            )
    if len(chain) == 1 and not _has_signed(chain[0], chain[0]):
        yield f"the certificate of its CA ({chain[0].issuer.rfc4514_string()}) has to follow it"


def _key_problems(pem: str, server: x509.Certificate) -> Iterator[str]:
    try:
        key = serialization.load_pem_private_key(pem.encode(), password=None)
    except TypeError:
        yield "encrypted with a passphrase, which Envoy cannot ask for"
    except ValueError:
        yield "not a PEM private key"
    else:
        if key.public_key() != server.public_key():
            yield f"not the key of gatewayCertificate ({_called(server)})"


def _has_signed(signer: x509.Certificate, signed: x509.Certificate) -> bool:
    try:
        signed.verify_directly_issued_by(signer)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [name.lower() for name in names.get_values_for_type(x509.DNSName)]


def _serves(certificate: x509.Certificate) -> bool:
    try:
        usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True
    return ExtendedKeyUsageOID.SERVER_AUTH in usages


def _called(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string() or ", ".join(_names(certificate)) or "a certificate without a name"
