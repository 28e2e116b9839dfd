"""Judges certificates and keys that users give. No message has a part of a key."""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import pairwise
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, PublicKeyAlgorithmOID

from settings.pem import Block, blocks, der_value

_Extension = TypeVar("_Extension", bound=x509.ExtensionType)

# What Envoy (its BoringSSL) loads for a certificate of its own: tests/support/certificate_kinds.py has its answers.
CURVES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
_SHORTEST_RSA_BITS = 2048
_CERTIFICATES = {"CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"}
_PRIVATE_KEYS = {"PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"}
_ENCRYPTED = re.compile(r"^(-----BEGIN ENCRYPTED |Proc-Type: 4,ENCRYPTED)", re.MULTILINE)
_LAYOUT = "with a line of its own for BEGIN and END, from its first character on"


def read(pem: str) -> list[x509.Certificate]:
    """Return the certificates of a PEM text, text between them left out; raise ValueError if Envoy cannot read one."""
    if "PRIVATE KEY-----" in pem:
        raise ValueError("holds a private key; only certificates belong here")
    begun = pem.count("-----BEGIN ")
    if not begun:
        raise ValueError("not PEM certificates")
    try:
        found = blocks(pem)
    except ValueError as error:
        raise ValueError(f"not PEM certificates, each {_LAYOUT}: {error}") from None
    if len(found) < begun:
        raise ValueError(f"only {len(found)} of {begun} blocks are whole PEM certificates, {_LAYOUT}")
    if any(block.label == "X509 CRL" for block in found):
        raise ValueError("holds a CRL, with which Envoy refuses the certificates of every CA that has none here")
    certificates = [_loaded(block) for block in found if block.label in _CERTIFICATES]
    if not certificates:
        raise ValueError("not PEM certificates")
    return certificates


def rewritten(pem: str) -> str:
    """Return the certificates of a PEM text without further text, or the text itself if Envoy cannot read it."""
    try:
        return "".join(each.public_bytes(serialization.Encoding.PEM).decode() for each in read(pem))
    except ValueError:
        return pem


def credential_problems(pem: str, key: str) -> Iterator[tuple[str, str]]:
    """Yield the problems of a client's PEM chain, its certificate first, and of its key, each with the part it is in.

    key: PEM; empty for none
    """
    try:
        chain = read(pem)
    except ValueError as error:
        yield "certificate", str(error)
        return
    problems = [*key_type_problems(chain[0]), *_issuer_problems(chain)]
    problems += usage_problems(chain[0], ExtendedKeyUsageOID.CLIENT_AUTH, "client authentication")
    yield from (("certificate", problem) for problem in problems)
    if key:
        yield from (("key", problem) for problem in key_problems(key, chain[0], "certificate"))


def key_problems(pem: str, certificate: x509.Certificate, place: str) -> Iterator[str]:
    """Yield the problems of the PEM private key of a certificate, which is at the path `place` of the config."""
    try:
        found = [block for block in blocks(pem) if block.label in _PRIVATE_KEYS]
        key = serialization.load_pem_private_key(found[0].text.encode(), password=None)
    except (ValueError, IndexError, UnsupportedAlgorithm):
        if _ENCRYPTED.search(pem):
            yield "encrypted with a passphrase, which Envoy cannot ask for"
        else:
            yield f"not a PEM private key of type PKCS #8, PKCS #1 or SEC 1, {_LAYOUT}"
        return
    if key.public_key() != public_key(certificate):
        yield f"not the key of {place} ({called(certificate)})"


def key_type_problems(certificate: x509.Certificate) -> Iterator[str]:
    """Yield the problems of the public key's algorithm and size, if Envoy has the private key."""
    key = public_key(certificate)
    if certificate.public_key_algorithm_oid == PublicKeyAlgorithmOID.RSASSA_PSS:
        yield "its key is restricted to RSA-PSS, which Envoy refuses"
    elif isinstance(key, rsa.RSAPublicKey):
        if key.key_size < _SHORTEST_RSA_BITS:
            yield f"its RSA key has {key.key_size} bits; Envoy needs at least {_SHORTEST_RSA_BITS}"
    elif isinstance(key, ec.EllipticCurvePublicKey):
        if key.curve.name not in CURVES:
            yield f"its key is on curve {key.curve.name}; Envoy supports {', '.join(CURVES.values())}"
    elif not isinstance(key, ed25519.Ed25519PublicKey):
        yield "its key is neither RSA nor ECDSA nor Ed25519"


def date_problems(certificates: Iterable[x509.Certificate]) -> Iterator[str]:
    """Yield a message for each certificate that is expired or not valid yet."""
    for certificate in certificates:
        if certificate.not_valid_after_utc < datetime.now(UTC):
            yield f"{called(certificate)} expired on {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
        if certificate.not_valid_before_utc > datetime.now(UTC):
            yield f"{called(certificate)} is not valid before {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"


def order_problems(chain: list[x509.Certificate]) -> Iterator[str]:
    """Yield a message for each certificate that is not followed by the one that signed it."""
    for signed, signer in pairwise(chain):
        if not may_sign(signer):
            yield f"{called(signer)} is not the certificate of a CA, but follows a certificate as its signer"
        elif not has_signed(signer, signed):
            yield (
                f"{called(signer)} did not sign {called(signed)}, which it follows; "
                "the holder's certificate comes first, then the one that signed it, up to its CA"
            )


def _issuer_problems(chain: list[x509.Certificate]) -> Iterator[str]:
    """Yield a message if certificates follow the first one of a chain, but none that signed it."""
    if len(chain) > 1 and not any(has_signed(signer, chain[0]) for signer in chain[1:]):
        yield (
            f"none of the certificates that follow it signed {called(chain[0])}, but {chain[0].issuer.rfc4514_string()}"
            "; the client's certificate comes first, then those that signed it"
        )


def has_signed(signer: x509.Certificate, signed: x509.Certificate) -> bool:
    """Return whether a certificate was signed with the key of `signer`, as far as the algorithm is known here."""
    try:
        signed.verify_directly_issued_by(signer)
    except (ValueError, UnsupportedAlgorithm):  # such as SHA-1, which the library does not verify
        return signed.issuer == signer.subject
    except (InvalidSignature, TypeError):
        return False
    return True


def usage_problems(certificate: x509.Certificate, usage: x509.ObjectIdentifier, called: str) -> Iterator[str]:
    """Yield a message for each extension of a certificate that forbids its use for TLS in this role.

    usage: the extended key usage of the role, `called` so in messages; a certificate without the extension allows all
    """
    extended = extension(certificate, x509.ExtendedKeyUsage)
    if extended is not None and usage not in extended:
        yield f"its extended key usage lacks {called}"
    key_usage = extension(certificate, x509.KeyUsage)
    if key_usage is not None and not key_usage.digital_signature:
        yield "its key usage lacks digital signature, by which TLS proves the key"


def dns_names(certificate: x509.Certificate) -> list[str]:
    """Return the DNS names that a certificate is for, in lower case."""
    names = extension(certificate, x509.SubjectAlternativeName)
    return [name.lower() for name in names.get_values_for_type(x509.DNSName)] if names is not None else []


def called(certificate: x509.Certificate) -> str:
    """Return the name of a certificate for messages: its subject, or its DNS names."""
    return certificate.subject.rfc4514_string() or ", ".join(dns_names(certificate)) or "a certificate without a name"


def may_sign(certificate: x509.Certificate) -> bool:
    """Return whether a certificate is that of a CA, by its extensions."""
    constraints, usage = extension(certificate, x509.BasicConstraints), extension(certificate, x509.KeyUsage)
    return constraints is not None and constraints.ca and (usage is None or usage.key_cert_sign)


def public_key(certificate: x509.Certificate) -> CertificatePublicKeyTypes | None:
    """Return the public key; None for one of an unknown type."""
    try:
        return certificate.public_key()
    except (UnsupportedAlgorithm, ValueError):
        return None


def extension(certificate: x509.Certificate, kind: type[_Extension]) -> _Extension | None:
    """Return an extension of a certificate; None if it has none of this kind."""
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _loaded(block: Block) -> x509.Certificate:
    try:
        certificate = x509.load_der_x509_certificate(der_value(block.content))
        _ = certificate.extensions, certificate.subject
    except (ValueError, IndexError, x509.DuplicateExtension, x509.InvalidVersion, x509.UnsupportedGeneralNameType):
        raise ValueError("not PEM certificates: one of them cannot be read") from None
    return certificate
