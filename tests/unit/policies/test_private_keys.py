"""Private keys within texts, and texts that only look like them."""

import base64
import hashlib
import json
import re
from textwrap import wrap

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from policies.mtls_policies.private_keys import holds_key, spans
from tests.unit.policies.judging import CERTIFICATE
from tests.unit.policies.key_encodings import (
    OF_DER,
    OF_PEM,
    OTHER,
    Encode,
    der,
    in_base64,
    is_der,
    keys,
    lines,
    url_safe,
)

BEFORE, AFTER = "the value changes: ", "\nthe next line of the log"
KEY = ec.generate_private_key(ec.SECP256R1())
PUBLIC = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
REQUEST = (
    x509.CertificateSigningRequestBuilder()
    .subject_name(x509.Name([]))
    .sign(KEY, hashes.SHA256())
    .public_bytes(Encoding.PEM)
    .decode()
)
# The beginning of a certificate of version 1 with the serial number 1: its algorithm is that of a signature.
OLD = bytes.fromhex("30820122 30820100 020101 300d06092a864886f70d01010b0500 300d310b300906035504061302") + bytes(200)
PUBLIC_TEXTS = {
    "certificate": CERTIFICATE,
    "certificates": CERTIFICATE * 20,
    "request": REQUEST,
    "public key": PUBLIC,
    "certificate of version 1": base64.encodebytes(OLD).decode(),
}
HARMLESS = {
    "sentence": "A PRIVATE KEY belongs in a Secret; no -----BEGIN CERTIFICATE----- begins one.",
    "ruler": f"{'-' * 80}\nPRIVATE KEY\n{'=' * 80}",
    "hashes": "\n".join(hashlib.sha512(bytes([number])).hexdigest() for number in range(200)),
    "hashes in Base64": "\n".join(in_base64(hashlib.sha256(bytes([number])).hexdigest()) for number in range(200)),
    "any Base64": base64.b64encode(b"".join(hashlib.sha256(bytes([n])).digest() for n in range(256))).decode(),
    "URNs": "urn:pulumi:prod::kyma-mtls::kyma-mtls:index:MtlsHost$kubernetes:core/v1:Service::target-orders\n" * 50,
    "JSON": json.dumps({"image": "sha256:" + hashlib.sha256().hexdigest(), "size": [1, 2, 3]}),
    "empty": "",
}


def unmasked(text: str) -> str:
    """Return what a text shows beside its keys, without what wraps these."""
    position, shown = 0, []
    for start, end in spans(text):
        shown.append(text[position:start])
        position = end
    return re.sub(r"[\s\\\"'+=\[\],-]|(?<=\\)n", "", "".join([*shown, text[position:]]))


@pytest.mark.parametrize("encode", OF_PEM.values(), ids=OF_PEM.keys())
def test_key_is_found_as_a_whole_and_nothing_beside_it(encode: Encode) -> None:
    for name, pem in keys().items():
        text = f"{BEFORE}{encode(pem)}{AFTER}"
        assert holds_key(text), name
        left = unmasked(text).removeprefix(unmasked(BEFORE)).removesuffix(unmasked(AFTER))
        for width in (76, 33):
            for old in wrap(OTHER, width):
                left = left.replace(unmasked(old), "")
        assert len(left) < 32, f"{name}: {left}"
        assert der(pem)[-40:-10] not in left


@pytest.mark.parametrize("encode", OF_DER.values(), ids=OF_DER.keys())
def test_der_is_found_as_a_whole_and_nothing_beside_it(encode: Encode) -> None:
    for name, pem in keys().items():
        if is_der(pem):
            text = f"{BEFORE}{encode(der(pem))}{AFTER}"
            assert holds_key(text), name
            assert unmasked(text).removeprefix(unmasked(BEFORE)).removesuffix(unmasked(AFTER)) in ("", "key"), name


@pytest.mark.parametrize("text", PUBLIC_TEXTS.values(), ids=PUBLIC_TEXTS.keys())
def test_public_text_holds_no_key_in_any_encoding(text: str) -> None:
    for name, encode in OF_PEM.items():
        assert not spans(encode(text)), name
    for each in (der(text), in_base64(der(text)), lines(url_safe(der(text)), "+ ")):
        assert not spans(each)


@pytest.mark.parametrize("text", HARMLESS.values(), ids=HARMLESS.keys())
def test_harmless_text_holds_no_key(text: str) -> None:
    for each in (text, in_base64(text), lines(in_base64(text), "- ")):
        assert not holds_key(each)


def test_text_beside_a_key_stays_readable() -> None:
    pem = keys()["EC, PKCS #8"]
    text = f"{CERTIFICATE}key: {in_base64(pem)}\ncertificate: {in_base64(CERTIFICATE)}\n{pem}{CERTIFICATE}"
    assert len(spans(text)) == 2
    for start, end in reversed(spans(text)):
        text = f"{text[:start]}[secret]{text[end:]}"
    assert text == f"{CERTIFICATE}key: [secret]\ncertificate: {in_base64(CERTIFICATE)}\n[secret]\n{CERTIFICATE}"
