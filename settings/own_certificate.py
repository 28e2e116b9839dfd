"""Judges the certificate and the private key that a user gives for a gateway's domain."""

from collections.abc import Iterator
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from settings import certificate_checks


@dataclass(frozen=True)
class Checked:
    """The result of a check.

    problems: each with the part that has it, Certificate or Key; none if all is well
    key_type: RSA or ECDSA, by which TLS 1.2 chooses ciphers (ECDSA for Ed25519, too); empty without a certificate
    """

    problems: tuple[tuple[str, str], ...]
    key_type: str


def check(certificate: str, key: str, domain: str) -> Checked:
    """Judge a PEM chain, server certificate first and its CA last, and a PEM key. No message has a part of the key."""
    try:
        chain = certificate_checks.read(certificate)
    except ValueError as error:
        return Checked((("Certificate", str(error)),), "")
    problems = [("Certificate", message) for message in _certificate_problems(chain, domain)]
    problems += [("Key", message) for message in certificate_checks.key_problems(key, chain[0], "gatewayCertificate")]
    is_rsa = isinstance(certificate_checks.public_key(chain[0]), rsa.RSAPublicKey)
    return Checked(tuple(problems), "RSA" if is_rsa else "ECDSA")


def chain_end(certificate: str) -> str:
    """Return the last certificate of a PEM chain, PEM: the CA by which a client knows the server."""
    return certificate_checks.read(certificate)[-1].public_bytes(serialization.Encoding.PEM).decode()


def _certificate_problems(chain: list[x509.Certificate], domain: str) -> Iterator[str]:
    server = chain[0]
    names = certificate_checks.dns_names(server)
    if f"*.{domain}" not in names:
        yield f"not for *.{domain}, but for {', '.join(names) or 'no DNS name at all'}"
    yield from certificate_checks.usage_problems(server, ExtendedKeyUsageOID.SERVER_AUTH, "server authentication")
    yield from certificate_checks.key_type_problems(server)
    yield from certificate_checks.order_problems(chain)
    if len(chain) == 1 and not certificate_checks.has_signed(server, server):
        yield f"the certificate of its CA ({server.issuer.rfc4514_string()}) must follow it"
