"""Judges certificates and keys that users give. No message has a part of a key."""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import pairwise
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

_Extension = TypeVar("_Extension", bound=x509.ExtensionType)

# What Envoy (its BoringSSL) loads.
_SHORTEST_RSA_BITS = 2048
_CURVES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
_BLOCK = r"^-----BEGIN ({0})-----[ \t]*\r?\n([A-Za-z0-9+/=]{{1,64}}[ \t]*\r?\n)+-----END \1-----[ \t\r]*$"
_CERTIFICATE = re.compile(_BLOCK.format("CERTIFICATE"), re.MULTILINE)
_PRIVATE_KEY = re.compile(_BLOCK.format("(?:[A-Z]+ )?PRIVATE KEY"), re.MULTILINE)
_LAYOUT = "a line of its own for BEGIN and END, and at most 64 characters in each further line"


def read(pem: str) -> list[x509.Certificate]:
    """Return the certificates of a PEM text; raise ValueError for further text, or if Envoy cannot read one."""
    if "PRIVATE KEY" in pem:
        raise ValueError("holds a private key; only certificates belong here")
    blocks, begun = [found.group() for found in _CERTIFICATE.finditer(pem)], pem.count("-----BEGIN ")
    try:
        certificates = x509.load_pem_x509_certificates(pem.encode())
        for certificate in certificates:
            _ = certificate.public_key(), certificate.extensions, certificate.subject
    except UnsupportedAlgorithm:
        raise ValueError("holds a key of a type that Envoy refuses") from None
    except (ValueError, x509.DuplicateExtension, x509.InvalidVersion, x509.UnsupportedGeneralNameType):
        raise ValueError("not PEM certificates") from None
    if not begun == len(blocks) == len(certificates):
        raise ValueError(f"only {len(blocks)} of {begun} blocks are whole PEM certificates, with {_LAYOUT}")
    return certificates


def authority_problems(pem: str) -> Iterator[str]:
    """Yield the problems of a PEM text of CAs by which Envoy verifies a peer."""
    try:
        certificates = read(pem)
    except ValueError as error:
        yield str(error)
        return
    for certificate in certificates:
        if not _may_sign(certificate):
            yield f"{called(certificate)} is not the certificate of a CA"
        yield from (f"{called(certificate)}: {problem}" for problem in key_type_problems(certificate))


def credential_problems(pem: str, key: str) -> Iterator[tuple[str, str]]:
    """Yield the problems of a client's PEM chain, its certificate first, and of its key, each with the part it is in.

    key: PEM; empty for none
    """
    try:
        chain = read(pem)
    except ValueError as error:
        yield "certificate", str(error)
        return
    problems = [*key_type_problems(chain[0]), *order_problems(chain)]
    problems += usage_problems(chain[0], ExtendedKeyUsageOID.CLIENT_AUTH, "client authentication")
    yield from (("certificate", problem) for problem in problems)
    if key:
        yield from (("key", problem) for problem in key_problems(key, chain[0], "certificate"))


def key_problems(pem: str, certificate: x509.Certificate, place: str) -> Iterator[str]:
    """Yield the problems of the PEM private key of a certificate, which is at the path `place` of the config."""
    try:
        key = serialization.load_pem_private_key(pem.encode(), password=None)
    except TypeError:
        yield "encrypted with a passphrase, which Envoy cannot ask for"
    except (ValueError, UnsupportedAlgorithm):
        yield "not a PEM private key"
    else:
        if not _PRIVATE_KEY.search(pem):
            yield f"not a PEM private key as Envoy reads it, with {_LAYOUT}"
        if key.public_key() != certificate.public_key():
            yield f"not the key of {place} ({called(certificate)})"


def key_type_problems(certificate: x509.Certificate) -> Iterator[str]:
    """Yield the problems of the public key's algorithm and size."""
    public = certificate.public_key()
    if isinstance(public, rsa.RSAPublicKey):
        if public.key_size < _SHORTEST_RSA_BITS:
            yield f"its RSA key has {public.key_size} bits; Envoy needs at least {_SHORTEST_RSA_BITS}"
    elif not isinstance(public, ec.EllipticCurvePublicKey):
        yield "its key is neither RSA nor ECDSA"
    elif public.curve.name not in _CURVES:
        yield f"its key is on curve {public.curve.name}; Envoy supports {', '.join(_CURVES.values())}"


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
        if not _may_sign(signer):
            yield f"{called(signer)} is not the certificate of a CA, but follows a certificate as its signer"
        elif not has_signed(signer, signed):
            yield (
                f"{called(signer)} did not sign {called(signed)}, which it follows; "
                "the holder's certificate comes first, then the one that signed it, up to its CA"
            )


def has_signed(signer: x509.Certificate, signed: x509.Certificate) -> bool:
    """Return whether a certificate was signed with the key of `signer`."""
    try:
        signed.verify_directly_issued_by(signer)
    except (InvalidSignature, ValueError, TypeError, UnsupportedAlgorithm):
        return False
    return True


def usage_problems(certificate: x509.Certificate, usage: x509.ObjectIdentifier, called: str) -> Iterator[str]:
    """Yield a message for each extension of a certificate that forbids its use for TLS in this role.

    usage: the extended key usage of the role, `called` so in messages; a certificate without the extension allows all
    """
    extended = _extension(certificate, x509.ExtendedKeyUsage)
    if extended is not None and usage not in extended:
        yield f"its extended key usage lacks {called}"
    key_usage = _extension(certificate, x509.KeyUsage)
    if key_usage is not None and not key_usage.digital_signature:
        yield "its key usage lacks digital signature, by which TLS proves the key"


def dns_names(certificate: x509.Certificate) -> list[str]:
    """Return the DNS names that a certificate is for, in lower case."""
    names = _extension(certificate, x509.SubjectAlternativeName)
    return [name.lower() for name in names.get_values_for_type(x509.DNSName)] if names is not None else []


def called(certificate: x509.Certificate) -> str:
    """Return the name of a certificate for messages: its subject, or its DNS names."""
    return certificate.subject.rfc4514_string() or ", ".join(dns_names(certificate)) or "a certificate without a name"


def _may_sign(certificate: x509.Certificate) -> bool:
    """Return whether a certificate is that of a CA, by its extensions."""
    constraints, usage = _extension(certificate, x509.BasicConstraints), _extension(certificate, x509.KeyUsage)
    return constraints is not None and constraints.ca and (usage is None or usage.key_cert_sign)


def _extension(certificate: x509.Certificate, kind: type[_Extension]) -> _Extension | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
