"""Kinds of CAs and of credentials as users have them, and whether Envoy takes each.

The verdicts are those of Envoy 1.40.0 (BoringSSL), the lab's, which tests/e2e/test_certificates.py asks again.
tests/unit/settings/test_certificate_kinds.py compares the rules of the config with them.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.support.certificates import Issued, folded, issue, restricted_to_pss, version_1

PKCS1 = serialization.PrivateFormat.TraditionalOpenSSL
EC_PARAMETERS = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
HOUR, BOTH = 1, (ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH)


@dataclass(frozen=True)
class Authorities:
    """A PEM text of CAs, and a client whose certificate one of them signed.

    envoy: whether Envoy, with these CAs as they are given, admits the client
    ours: whether the rules of the config take the CAs; as Envoy does unless there is a reason
    reason: for the difference
    """

    name: str
    pem: str
    client: Issued
    envoy: bool
    ours: bool
    reason: str = ""


@dataclass(frozen=True)
class Credential:
    """A PEM chain and a PEM key, and whether Envoy loads them."""

    name: str
    chain: str
    key: str
    envoy: bool


@cache
def rsa_key(bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


KEYS: dict[str, tuple[Callable[[], Any], bool, bool]] = {
    "rsa-1024": (lambda: rsa_key(1024), True, False),
    "rsa-2048": (lambda: rsa_key(2048), True, True),
    "rsa-3072": (lambda: rsa_key(3072), True, True),
    "rsa-4096": (lambda: rsa_key(4096), True, True),
    "p-224": (lambda: ec.generate_private_key(ec.SECP224R1()), True, False),
    "p-256": (lambda: ec.generate_private_key(ec.SECP256R1()), True, True),
    "p-384": (lambda: ec.generate_private_key(ec.SECP384R1()), True, True),
    "p-521": (lambda: ec.generate_private_key(ec.SECP521R1()), True, True),
    "secp256k1": (lambda: ec.generate_private_key(ec.SECP256K1()), False, False),
    "brainpool": (lambda: ec.generate_private_key(ec.BrainpoolP256R1()), False, False),
    "ed25519": (ed25519.Ed25519PrivateKey.generate, True, True),
    "ed448": (ed448.Ed448PrivateKey.generate, False, False),
}
"""Each kind of key: whether Envoy verifies by it, and whether it takes it for its own."""


def layouts(pem: str) -> dict[str, tuple[str, bool]]:
    """Return the ways to write a PEM text, and whether Envoy reads each."""
    begin, first, *rest = pem.splitlines()
    return {
        **{f"columns-{columns}": (folded(pem, columns), True) for columns in (4, 65, 76, 128, 254, 1000)},
        "columns-253": (folded(pem, 253), False),
        "crlf": (pem.replace("\n", "\r\n"), True),
        "cr": (pem.replace("\n", "\r"), False),
        "bom": (f"\ufeff{pem}", False),
        "text-around": (f"Bag Attributes\n  friendlyName: x\n{pem}The end\n", True),
        "no-final-newline": (pem.strip(), True),
        "spaces-after-lines": (pem.replace("\n", " \t\n"), True),
        "empty-lines": (pem.replace("\n", "\n\n"), True),
        "empty-line-within": ("\n".join((begin, first, "", *rest, "")), False),
        "indented": (re.sub(r"(?m)^(?=.)", "  ", pem), False),
        "indented-content": (re.sub(r"(?m)^(?=[^-])", " ", pem).rstrip(" "), True),
        "one-line": (pem.replace("\n", ""), False),
        "spaces-for-newlines": (pem.replace("\n", " "), False),
        "wrong-end": (pem.replace("END ", "END X "), False),
        "no-base64": (pem.replace(first, f"*{first[1:]}"), False),
        "cut-off": (pem[:150], False),
        "empty-text": ("text\n", False),
    }


def authorities() -> Iterator[Authorities]:
    """Yield every kind of a text of CAs."""
    for name, (make, verifies, _) in KEYS.items():
        authority = issue("CA", key=make())
        yield _judged(f"key-{name}", authority.pem, _client(authority), verifies)
    authority = issue("CA")
    client = _client(authority)
    for name, (pem, reads) in layouts(authority.pem).items():
        yield _judged(f"layout-{name}", pem, client, reads)
    yield from _signatures()
    yield from _beside(authority, client)
    yield from _versions_and_extensions()
    yield from _of_one_name()
    many = "".join(issue(f"CA {number}").pem for number in range(50))
    yield _judged("bundle", many + authority.pem, client, True)


def _judged(name: str, pem: str, client: Issued, envoy: bool) -> Authorities:
    return Authorities(name, pem, client, envoy, ours=envoy)


def _client(signer: Issued, **terms: Any) -> Issued:
    return issue("peer", signer, is_authority=False, usages=BOTH, **terms)


def _signatures() -> Iterator[Authorities]:
    authority = issue("CA", key=rsa_key(2048))
    for algorithm in (hashes.SHA224(), hashes.SHA384(), hashes.SHA512()):
        client = _client(authority, algorithm=algorithm)
        yield _judged(f"signature-{algorithm.name}", authority.pem, client, True)
    yield _judged("signature-sha3", authority.pem, _client(authority, algorithm=hashes.SHA3_256()), False)
    yield _judged("signature-pss", authority.pem, _client(authority, pss=True), True)
    yield _judged("signature-sha1", authority.pem, _client(authority, sha1=True), True)
    yield _judged("key-restricted-to-pss", restricted_to_pss(authority).pem, _client(authority, pss=True), False)


def _beside(authority: Issued, client: Issued) -> Iterator[Authorities]:
    other = issue("CA of another name")
    foo = "-----BEGIN FOO-----\nAAAA\n-----END FOO-----\n"
    yield _judged("block-of-another-kind", foo + authority.pem, client, True)
    yield _judged("glued", authority.pem.strip() + other.pem, client, False)
    yield _judged("twice", authority.pem * 2, client, True)
    yield _judged("trusted-label", authority.pem.replace("CERTIFICATE", "TRUSTED CERTIFICATE"), client, True)
    yield _judged("x509-label", authority.pem.replace("CERTIFICATE", "X509 CERTIFICATE"), client, True)
    yield _judged("pkcs7-label", authority.pem.replace("CERTIFICATE", "PKCS7"), client, False)
    reason = "a private key does not belong there"
    yield Authorities("key-beside", authority.pem + authority.key_pem(), client, True, False, reason)
    crl, reason = authority.crl(), "Envoy then refuses clients of every CA without a CRL"
    yield Authorities("crl-beside", authority.pem + crl, client, True, False, reason)
    yield _judged("crl-of-another", authority.pem + crl + other.pem, _client(other), False)


def _versions_and_extensions() -> Iterator[Authorities]:
    old, root = version_1(issue("old")), issue("root")
    middle, leaf, alone = issue("middle", root), _client(root), issue("alone", is_authority=False, usages=BOTH)
    yield _judged("version-1", old.pem, _client(old), True)
    yield _judged("intermediate", middle.pem, _client(middle), True)
    yield _judged("pinned", leaf.pem, leaf, True)
    yield _judged("pinned-self-signed", alone.pem, alone, True)
    further: dict[str, dict[str, Any]] = {
        "no-constraints": {"has_constraints": False},
        "no-authority": {"is_authority": False},
        "signs-certificates": {"key_usages": ("key_cert_sign",)},
        "for-servers": {"usages": (ExtendedKeyUsageOID.SERVER_AUTH,)},
    }
    for name, terms in further.items():
        signer = issue(name, **terms)
        yield _judged(name, signer.pem, _client(signer), True)
    mute = issue("mute", key_usages=("digital_signature",))
    yield _judged("signs-no-certificates", mute.pem, _client(mute), False)


def _of_one_name() -> Iterator[Authorities]:
    """Yield CAs that share a name: Envoy tries the first one that a certificate does not contradict, valid or not."""
    key = ec.generate_private_key(ec.SECP256R1())
    reason = "the stack deploys them in another order"
    for ids in (False, True):
        expired, valid = issue("CA", key=key, end=-HOUR, has_id=ids), issue("CA", key=key, has_id=ids)
        client = _client(valid, names_id=ids)
        named = "ids" if ids else "no-ids"
        first, last = expired.pem + valid.pem, valid.pem + expired.pem
        yield Authorities(f"one-key-expired-first-{named}", first, client, False, True, reason)
        yield _judged(f"one-key-expired-last-{named}", last, client, True)
    plain, other = issue("CA"), issue("CA", has_id=True)
    yield Authorities("two-keys-first-without-id", plain.pem + other.pem, _client(other, names_id=True), False, True)
    yield _judged("two-keys-last-without-id", other.pem + plain.pem, _client(plain, names_id=True), True)
    yield _judged("two-keys-with-ids", issue("CA", has_id=True).pem + other.pem, _client(other, names_id=True), True)
    yield _judged("two-keys-without-ids", issue("CA").pem + plain.pem, _client(plain), False)


def credentials() -> Iterator[Credential]:
    """Yield every kind of a certificate with its key."""
    root = issue("root")
    for name, (make, _, loads) in KEYS.items():
        own = _client(root, key=make())
        yield Credential(f"key-{name}", own.pem, own.key_pem(), loads)
    own, by_rsa = _client(root), _client(root, key=rsa_key(2048))
    yield Credential("sec-1", own.pem, own.key_pem(PKCS1), True)
    yield Credential("sec-1-with-parameters", own.pem, EC_PARAMETERS + own.key_pem(PKCS1), True)
    yield Credential("pkcs-1", by_rsa.pem, by_rsa.key_pem(PKCS1), True)
    yield Credential("encrypted-pkcs-8", own.pem, own.key_pem(passphrase="x"), False)
    yield Credential("encrypted-sec-1", own.pem, own.key_pem(PKCS1, passphrase="x"), False)
    yield Credential("openssh", own.pem, own.key_pem(serialization.PrivateFormat.OpenSSH), False)
    yield Credential("certificate-before-key", own.pem, own.pem + own.key_pem(), True)
    yield Credential("two-keys", own.pem, own.key_pem() + root.key_pem(), True)
    yield Credential("other-key-first", own.pem, root.key_pem() + own.key_pem(), False)
    yield Credential("other-key", own.pem, root.key_pem(), False)
    yield Credential("no-key", own.pem, own.pem, False)
    for name, (pem, reads) in layouts(by_rsa.key_pem()).items():
        yield Credential(f"layout-of-key-{name}", by_rsa.pem, pem, reads)
    for name, (pem, reads) in layouts(by_rsa.pem).items():
        yield Credential(f"layout-{name}", pem, by_rsa.key_pem(), reads)
    yield Credential("restricted-to-pss", restricted_to_pss(by_rsa, root.key).pem, by_rsa.key_pem(), False)
    yield from _chains(root, own)


def _chains(root: Issued, own: Issued) -> Iterator[Credential]:
    middle = issue("middle", root)
    low = _client(middle)
    orders: dict[str, Sequence[Issued]] = {
        "root": (own, root),
        "middle": (low, middle),
        "out-of-order": (low, root, middle),
        "stray": (low, issue("stray"), middle),
        "twice": (own, own, root),
    }
    for name, chain in orders.items():
        yield Credential(f"chain-{name}", "".join(each.pem for each in chain), chain[0].key_pem(), True)
    yield Credential("chain-begins-with-its-ca", root.pem + own.pem, own.key_pem(), False)
    yield Credential("chain-cut-off", own.pem + root.pem[:200], own.key_pem(), False)
    old = version_1(_client(root), root.key)
    yield Credential("version-1", old.pem, old.key_pem(), True)
    signed = _client(root, key_usages=("digital_signature",))
    yield Credential("signs", signed.pem, signed.key_pem(), True)
    mute = _client(root, key_usages=("key_agreement",))
    yield Credential("signs-nothing", mute.pem, mute.key_pem(), False)
    by_rsa = issue("root", key=rsa_key(2048))
    weak = _client(by_rsa, sha1=True)
    yield Credential("signature-sha1", weak.pem + by_rsa.pem, weak.key_pem(), True)
