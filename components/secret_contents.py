"""What a Secret with a certificate must hold, as an annotation that anybody may read.

The state has the data of a Secret encrypted. The annotation has the name of each entry, and a digest of each but the
private key's. By it, a reader of the Secret notices another CA, another certificate, and further entries.
"""

import base64
import binascii
import hashlib
from collections.abc import Iterator, Mapping

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

CONTENTS_ANNOTATION = "kyma-mtls/contents"
# The entries of a key and its certificate, as Istio reads them:
# https://istio.io/latest/docs/tasks/traffic-management/ingress/secure-ingress/#key-formats
_PAIRS = (("tls.key", "tls.crt"), ("key", "cert"))
_KEYS = tuple(key for key, _ in _PAIRS)


def described(texts: Mapping[str, str | None]) -> str:
    """Return the annotation for entries with these texts: NAME:SHA-256 of each, of a private key NAME alone."""
    return " ".join(_described(name, (text or "").encode()) for name, text in sorted(texts.items()))


def _described(name: str, content: bytes) -> str:
    return name if name in _KEYS else f"{name}:{hashlib.sha256(content).hexdigest()}"


def differences(annotation: str, data: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the name of each entry that is not as the annotation says, and what is wrong; never its value.

    Nothing is said of an entry that the annotation does not have.

    annotation: empty if the Secret's entries are not the stack's
    data: of the Secret, in Base64, as the API server has it
    """
    if not annotation:
        return
    wanted = {each.partition(":")[0]: each for each in annotation.split(" ")}
    contents = {name: _decoded(text) for name, text in data.items()}
    for name, description in wanted.items():
        if name not in contents:
            yield name, ": gone"
        elif _described(name, contents[name]) != description:
            yield name, ": another value than the stack set"
    for name in sorted(set(contents) - set(wanted)):
        yield name, ""
    for key, certificate in _PAIRS:
        if key in wanted and {key, certificate} <= set(contents) and not _fits(contents[key], contents[certificate]):
            yield key, ": not the key of the certificate"


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return b""


def _fits(key: bytes, certificate: bytes) -> bool:
    """Return whether a private key is that of a certificate; both PEM."""
    try:
        known = x509.load_pem_x509_certificate(certificate).public_key()
        private = serialization.load_pem_private_key(key, None, unsafe_skip_rsa_key_validation=True)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False
    return _public(known) == _public(private.public_key())


def _public(key: object) -> bytes:
    return bytes(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))  # type: ignore[attr-defined]
