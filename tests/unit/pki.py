"""Certificates and keys for tests, valid and invalid ones."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.support.certificates import key_in_pem

_KEY_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True)
class Holder:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: Key

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def key_pem(self) -> str:
        return self.encrypted_key_pem("")

    def sign(self, request_pem: str) -> str:
        """Return a certificate (PEM) for a signing request, with the alternative names that it asks for."""
        request, now = x509.load_pem_x509_csr(request_pem.encode()), datetime.now(UTC)
        names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        builder = (
            x509.CertificateBuilder(self.certificate.subject, request.subject, request.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=30))
            .add_extension(names, critical=False)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        )
        signed = builder.sign(self.key, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM).decode()

    def encrypted_key_pem(self, passphrase: str) -> str:
        return key_in_pem(self.key, passphrase=passphrase)


def ec_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def issue(
    name: str,
    signer: Holder | None = None,
    *,
    hosts: tuple[str, ...] = (),
    uris: tuple[str, ...] = (),
    start: timedelta = timedelta(hours=-1),
    end: timedelta = timedelta(days=30),
    usage: x509.ObjectIdentifier = ExtendedKeyUsageOID.SERVER_AUTH,
    key: Key | None = None,
    key_usage: tuple[str, ...] | None = None,
) -> Holder:
    """Issue a certificate for hosts or URIs, of a CA without any; self-signed without a signer.

    start, end: counted from now
    key_usage: names of the only usages that it has
    """
    key, now = key or ec_key(), datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signer.certificate.subject if signer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + start)
        .not_valid_after(now + end)
        .add_extension(x509.BasicConstraints(ca=not (hosts or uris), path_length=None), critical=True)
    )
    if hosts or uris:
        names = [*map(x509.UniformResourceIdentifier, uris), *map(x509.DNSName, hosts)]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    if key_usage is not None:
        restricted = x509.KeyUsage(**{name: name in key_usage for name in _KEY_USAGES})
        builder = builder.add_extension(restricted, critical=True)
    return Holder(builder.sign(signer.key if signer else key, hashes.SHA256()), key)
