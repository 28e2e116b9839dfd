"""Client certificates that the verification issues in memory only, by a CA of its own or by the stack's CA.

The private key of the stack's CA is in the encrypted state. It is read through a pipe, once, when a check needs it.
"""

import json
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import (
    CertificateIssuerPrivateKeyTypes,
    CertificateIssuerPublicKeyTypes,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier

from verification.checks import Failed
from verification.tls import ClientCredential

_HOUR = timedelta(hours=1)
_PLAINTEXT = "plaintext"  # the key of a secret, as JSON, in a state exported with --show-secrets


@dataclass(frozen=True)
class Wanted:
    """The content of a certificate.

    names: its alternative names
    starts, ends: its validity, relative to now
    usage: its extended key usage
    """

    subject: x509.Name
    names: Sequence[x509.GeneralName] = ()
    starts: timedelta = -_HOUR
    ends: timedelta = _HOUR
    usage: ObjectIdentifier = ExtendedKeyUsageOID.CLIENT_AUTH


def foreign_credential(subject: x509.Name, *names: x509.GeneralName) -> ClientCredential:
    """Make a credential with this Subject and these alternative names, signed by a CA that no gateway trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    return _issue(Wanted(subject, names), key, subject, key)


@dataclass
class Authority:
    """The stack's CA.

    certificate: PEM
    export: returns the state with its secrets in clear
    """

    certificate: str
    export: Callable[[], str] = field(repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _key: CertificateIssuerPrivateKeyTypes | None = field(default=None, repr=False)

    def sign(self, wanted: Wanted) -> ClientCredential:
        """Issue a credential; raise Failed if the state has no key of the CA."""
        issuer = x509.load_pem_x509_certificates(self.certificate.encode())[0]
        with self._lock:
            if self._key is None:
                self._key = _key_of(issuer, self.export())
        return _issue(wanted, ec.generate_private_key(ec.SECP256R1()), issuer.subject, self._key)


def _issue(
    wanted: Wanted, key: ec.EllipticCurvePrivateKey, issuer: x509.Name, signer: CertificateIssuerPrivateKeyTypes
) -> ClientCredential:
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder(subject_name=wanted.subject, issuer_name=issuer, public_key=key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + wanted.starts)
        .not_valid_after(now + wanted.ends)
        .add_extension(x509.ExtendedKeyUsage([wanted.usage]), critical=False)
    )
    if wanted.names:
        builder = builder.add_extension(x509.SubjectAlternativeName(wanted.names), critical=False)
    certificate = builder.sign(signer, hashes.SHA256())
    return ClientCredential(
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )


def _key_of(certificate: x509.Certificate, exported: str) -> CertificateIssuerPrivateKeyTypes:
    """Return the state's private key of a certificate, found by its public key."""
    resources = (json.loads(exported).get("deployment") or {}).get("resources") or []
    public = _encoded(certificate.public_key())  # type: ignore[arg-type]
    for key in _private_keys(resources):
        if _encoded(key.public_key()) == public:
            return key
    raise Failed("the state has no private key of output caCertificate; run `pulumi up`")


def _private_keys(resources: Iterable[Mapping[str, Any]]) -> Iterable[CertificateIssuerPrivateKeyTypes]:
    for resource in resources:
        if resource["type"] == "tls:index/privateKey:PrivateKey":
            secret = (resource.get("outputs") or {}).get("privateKeyPem")
            if isinstance(secret, dict) and _PLAINTEXT in secret:
                yield serialization.load_pem_private_key(json.loads(secret[_PLAINTEXT]).encode(), None)  # type: ignore[misc]


def _encoded(key: CertificateIssuerPublicKeyTypes) -> bytes:
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
