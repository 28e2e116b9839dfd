"""Certificates of every kind, also of those that the library does not issue."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding
from cryptography.x509.oid import NameOID

IDENTITY = "spiffe://acme.example/client"

_USAGES = (
    *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
    *("key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
)
_SHA256_RSA, _SHA1_RSA, _RSA, _PSS = (
    bytes.fromhex(f"06092a864886f70d0101{number}") for number in ("0b", "05", "01", "0a")
)
_SEQUENCE, _BIT_STRING, _VERSION, _EXTENSIONS = 0x30, 0x03, 0xA0, 0xA3
Parts = list[bytes]


def key_in_pem(
    key: Any, layout: serialization.PrivateFormat = serialization.PrivateFormat.PKCS8, passphrase: str = ""
) -> str:
    """Return a private key as PEM, encrypted if there is a passphrase."""
    how = serialization.BestAvailableEncryption(passphrase.encode()) if passphrase else serialization.NoEncryption()
    return str(key.private_bytes(serialization.Encoding.PEM, layout, how).decode())


@dataclass(frozen=True)
class Issued:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: Any

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def key_pem(
        self,
        layout: serialization.PrivateFormat = serialization.PrivateFormat.PKCS8,
        passphrase: str = "",
    ) -> str:
        return key_in_pem(self.key, layout, passphrase)

    def crl(self) -> str:
        now = datetime.now(UTC)
        builder = x509.CertificateRevocationListBuilder().issuer_name(self.certificate.subject)
        builder = builder.last_update(now - timedelta(days=1)).next_update(now + timedelta(days=1))
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def issue(
    name: str,
    signer: Issued | None = None,
    *,
    key: Any = None,
    is_authority: bool = True,
    has_constraints: bool = True,
    has_id: bool = False,
    names_id: bool = False,
    usages: Sequence[x509.ObjectIdentifier] = (),
    names: Sequence[x509.GeneralName] = (x509.UniformResourceIdentifier(IDENTITY),),
    key_usages: Sequence[str] = (),
    end: int = 720,
    algorithm: Any = None,
    pss: bool = False,
    sha1: bool = False,
) -> Issued:
    """Issue a certificate, self-signed without a signer, of a CA unless told otherwise.

    has_id, names_id: whether it has a subject key identifier, and that of its signer
    names: its alternative names, if it has usages
    end: hours from now
    """
    key = key or ec.generate_private_key(ec.SECP256R1())
    signing = signer.key if signer else key
    now, subject = datetime.now(UTC), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder(signer.certificate.subject if signer else subject, subject, key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=100))
        .not_valid_after(now + timedelta(hours=end))
    )
    extensions: list[tuple[x509.ExtensionType, bool]] = []
    if has_constraints:
        extensions.append((x509.BasicConstraints(is_authority, None), True))
    if usages:
        extensions.append((x509.ExtendedKeyUsage(usages), False))
        extensions.append((x509.SubjectAlternativeName(names), False))
    if key_usages:
        extensions.append((x509.KeyUsage(**{usage: usage in key_usages for usage in _USAGES}), True))
    if has_id:
        extensions.append((x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False))
    if names_id:
        extensions.append((x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()), False))
    for extension, is_critical in extensions:
        builder = builder.add_extension(extension, is_critical)
    has_own_hash = isinstance(signing, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey)
    further: dict[str, Any] = {"rsa_padding": padding.PSS(padding.MGF1(hashes.SHA256()), 32)} if pss else {}
    signed = builder.sign(signing, None if has_own_hash else algorithm or hashes.SHA256(), **further)
    made = Issued(signed, key)
    return _signed_by_sha1(made, signing) if sha1 else made


def folded(pem: str, columns: int) -> str:
    """Return a PEM text with lines of so many characters."""
    begin, *content, end = pem.splitlines()
    text = "".join(content)
    return "\n".join((begin, *(text[start : start + columns] for start in range(0, len(text), columns)), end, ""))


def version_1(issued: Issued, signing: Any = None) -> Issued:
    """Return the certificate in version 1, which has no extensions."""
    return _edited(
        issued,
        signing or issued.key,
        lambda parts: [part for part in parts if part[0] not in {_VERSION, _EXTENSIONS}],
    )


def restricted_to_pss(issued: Issued, signing: Any = None) -> Issued:
    """Return the certificate with its RSA key restricted to RSA-PSS."""

    def edit(parts: Parts) -> Parts:
        place = next(place for place, part in enumerate(parts) if part[0] == _SEQUENCE and _RSA in part[:30])
        _, bits = _parts(parts[place])
        restricted = _value(_SEQUENCE, _value(_SEQUENCE, _PSS) + bits)
        return [*parts[:place], restricted, *parts[place + 1 :]]

    return _edited(issued, signing or issued.key, edit)


def _signed_by_sha1(issued: Issued, signing: Any) -> Issued:
    content, algorithm, _ = _parts(issued.certificate.public_bytes(serialization.Encoding.DER))
    content, algorithm = (part.replace(_SHA256_RSA, _SHA1_RSA) for part in (content, algorithm))
    signature = signing.sign(content, padding.PKCS1v15(), hashes.SHA1())  # noqa: S303 - as old CAs do
    return _joined(issued, content, algorithm, signature)


def _edited(issued: Issued, signing: Any, edit: Callable[[Parts], Parts]) -> Issued:
    content, algorithm, _ = _parts(issued.certificate.public_bytes(serialization.Encoding.DER))
    content = _value(_SEQUENCE, b"".join(edit(_parts(content))))
    how: list[Any] = [ec.ECDSA(hashes.SHA256())]
    if not isinstance(signing, ec.EllipticCurvePrivateKey):
        how = [padding.PKCS1v15(), hashes.SHA256()]
    return _joined(issued, content, algorithm, signing.sign(content, *how))


def _joined(issued: Issued, content: bytes, algorithm: bytes, signature: bytes) -> Issued:
    der = _value(_SEQUENCE, content + algorithm + _value(_BIT_STRING, b"\0" + signature))
    return Issued(x509.load_der_x509_certificate(der), issued.key)


def _parts(der: bytes) -> Parts:
    """Return the values within a DER value."""
    start, end = _content(der, 0)
    found = []
    while start < end:
        _, next_start = _content(der, start)
        found.append(der[start:next_start])
        start = next_start
    return found


def _content(der: bytes, start: int) -> tuple[int, int]:
    length, start = der[start + 1], start + 2
    if length & 0x80:
        size = length & 0x7F
        length, start = int.from_bytes(der[start : start + size]), start + size
    return start, start + length


def _value(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    encoded = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes((tag, 0x80 | len(encoded))) + encoded + content
