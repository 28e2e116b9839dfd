"""CAs by which Envoy verifies a peer: which ones it takes, and in which order it finds them.

tests/support/certificate_kinds.py has what Envoy did with each kind.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import groupby

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import PublicKeyAlgorithmOID

from settings.certificate_checks import CURVES, called, extension, may_sign, public_key, read

_CURVES = {"secp224r1": "P-224", **CURVES}
_SHORTEST_RSA_BITS = 1024


def problems(pem: str) -> Iterator[str]:
    """Yield the problems of a PEM text of CAs."""
    try:
        certificates = read(pem)
    except ValueError as error:
        yield str(error)
        return
    for certificate in certificates:
        if problem := _key_problem(certificate):
            yield f"{called(certificate)}: {problem}"
        if _is_authority(certificate) and not may_sign(certificate):
            yield f"{called(certificate)}: its key usage forbids a CA to sign certificates"
    yield from name_problems(certificates)


def name_problems(certificates: Iterable[x509.Certificate]) -> Iterator[str]:
    """Yield a message for each name that several keys have, where Envoy would only ever try the first of them."""
    now = datetime.now(UTC)
    lasting = [each for each in certificates if each.not_valid_after_utc > now and not _has_id(each)]
    for name, found in groupby(sorted(lasting, key=_name), _name):
        several = list(found)
        if name and len(set(map(_key, several))) > 1:
            yield (
                f"several keys of {called(several[0])} without a subject key identifier: Envoy would refuse every "
                "certificate of all but the first; give each client one of them"
            )


def in_order(pem: str) -> str:
    """Return the certificates of a PEM text, each once, so that Envoy finds a valid one first.

    Of several with one name, Envoy takes the first one whose subject key identifier does not contradict, be it valid
    or not (BoringSSL's X509_STORE_CTX_get1_issuer, crypto/x509/x509_lu.cc).
    """
    now = datetime.now(UTC)
    several = list(dict.fromkeys(read(pem)))
    first = {_name(each): place for place, each in reversed(list(enumerate(several)))}

    def turn(certificate: x509.Certificate) -> tuple[int, bool, bool, float]:
        is_valid = certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc
        end = certificate.not_valid_after_utc.timestamp()
        return first[_name(certificate)], not is_valid, not _has_id(certificate), -end

    return "".join(_pem(each) for each in sorted(several, key=turn))


def pinned(pem: str) -> list[str]:
    """Return the names of those certificates that are no CA's, which Envoy trusts all the same."""
    return [called(each) for each in read(pem) if not _is_authority(each) and each.version == x509.Version.v3]


def _key_problem(certificate: x509.Certificate) -> str:
    key = public_key(certificate)
    if isinstance(key, rsa.RSAPublicKey):
        if certificate.public_key_algorithm_oid == PublicKeyAlgorithmOID.RSASSA_PSS:
            return "its key is restricted to RSA-PSS, which Envoy refuses"
        return "" if key.key_size >= _SHORTEST_RSA_BITS else f"its RSA key has {key.key_size} bits"
    if isinstance(key, ec.EllipticCurvePublicKey):
        known = ", ".join(_CURVES.values())
        return "" if key.curve.name in _CURVES else f"its key is on curve {key.curve.name}; Envoy verifies by {known}"
    return "" if isinstance(key, ed25519.Ed25519PublicKey) else "its key is neither RSA nor ECDSA nor Ed25519"


def _is_authority(certificate: x509.Certificate) -> bool:
    constraints = extension(certificate, x509.BasicConstraints)
    return constraints is not None and constraints.ca


def _has_id(certificate: x509.Certificate) -> bool:
    return extension(certificate, x509.SubjectKeyIdentifier) is not None


def _name(certificate: x509.Certificate) -> bytes:
    return certificate.subject.public_bytes()


def _key(certificate: x509.Certificate) -> bytes:
    key, format_ = public_key(certificate), serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_bytes(serialization.Encoding.DER, format_) if key else b""


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
