"""What a user's own certificate and key can be refused for."""

from base64 import b64encode

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from settings import own_certificate
from tests.support import certificates
from tests.unit.pki import Holder, ec_key, issue

DOMAIN = "kyma.example.com"
HOSTS = (f"*.{DOMAIN}",)
ROOT = issue("root")
MIDDLE = issue("middle", ROOT)
LEAF = issue("leaf", ROOT, hosts=HOSTS)
SERVER = issue("server", MIDDLE, hosts=HOSTS)
BEGIN, *_, END = LEAF.key_pem.splitlines()
NO_KEY = "\n".join((BEGIN, b64encode(b"No key").decode(), END, ""))


def problems(*chain: Holder, key: str = "", domain: str = DOMAIN) -> list[str]:
    checked = own_certificate.check("".join(each.pem for each in chain), key or chain[0].key_pem, domain)
    return [f"{part}: {message}" for part, message in checked.problems]


@pytest.mark.parametrize(
    "chain",
    [
        (SERVER, MIDDLE),
        (SERVER, MIDDLE, ROOT),
        (issue("alone", hosts=HOSTS, key_usage=("digital_signature", "key_cert_sign")),),
    ],
)
def test_chain_from_the_server_up_is_accepted(chain: tuple[Holder, ...]) -> None:
    assert problems(*chain) == []


def test_chain_end_is_the_ca() -> None:
    assert own_certificate.chain_end(SERVER.pem + MIDDLE.pem) == MIDDLE.pem


def test_key_type_is_returned() -> None:
    modern = certificates.issue("ed25519", key=ed25519.Ed25519PrivateKey.generate(), is_authority=False)
    assert own_certificate.check(modern.pem, modern.key_pem(), DOMAIN).key_type == "ECDSA"
    other = issue("rsa", hosts=HOSTS, key=rsa.generate_private_key(65537, 2048))
    assert own_certificate.check(SERVER.pem + MIDDLE.pem, SERVER.key_pem, DOMAIN).key_type == "ECDSA"
    assert own_certificate.check(other.pem, other.key_pem, DOMAIN).key_type == "RSA"


@pytest.mark.parametrize(
    ("chain", "message"),
    [
        ((issue("server", hosts=("*.example.com",)),), "not for *.kyma.example.com, but for *.example.com"),
        ((issue("server", hosts=(DOMAIN,)),), "not for *.kyma.example.com, but for kyma.example.com"),
        ((issue("server"),), "not for *.kyma.example.com, but for no DNS name at all"),
        ((SERVER, issue("middle", ROOT)), "CN=middle did not sign CN=server, which it follows"),
        ((SERVER, ROOT, MIDDLE), "CN=root did not sign CN=server, which it follows"),
        (
            (issue("server", LEAF, hosts=HOSTS), LEAF, ROOT),
            "CN=leaf is not the certificate of a CA, but follows a certificate",
        ),
        ((issue("server", hosts=HOSTS, key_usage=("key_encipherment",)),), "its key usage lacks digital signature"),
        ((SERVER,), "the certificate of its CA (CN=middle) must follow it"),
        ((issue("server", hosts=HOSTS, usage=ExtendedKeyUsageOID.CLIENT_AUTH),), "lacks server authentication"),
        ((issue("server", hosts=HOSTS, key=rsa.generate_private_key(65537, 1024)),), "its RSA key has 1024 bits"),  # noqa: S505
    ],
)
def test_wrong_certificate_is_refused(chain: tuple[Holder, ...], message: str) -> None:
    assert any(message in problem for problem in problems(*chain)), problems(*chain)
    assert all(problem.startswith("Certificate: ") for problem in problems(*chain))


@pytest.mark.parametrize("curve", [ec.SECP256K1(), ec.SECP224R1()])
def test_curve_that_envoy_refuses_is_refused(curve: ec.EllipticCurve) -> None:
    other = issue("server", hosts=HOSTS, key=ec.generate_private_key(curve))
    assert problems(other) == [f"Certificate: its key is on curve {curve.name}; Envoy supports P-256, P-384, P-521"]


@pytest.mark.parametrize(
    ("pem", "message"),
    [
        (SERVER.pem + SERVER.key_pem, "holds a private key"),
        (SERVER.pem + MIDDLE.pem[:-30], "not PEM certificates, each with a line of its own for BEGIN"),
        ((SERVER.pem + MIDDLE.pem).replace("\n", ""), "only 0 of 2 blocks are whole PEM certificates"),
    ],
)
def test_pem_that_envoy_cannot_read_is_refused(pem: str, message: str) -> None:
    checked = own_certificate.check(pem, SERVER.key_pem, DOMAIN)
    ((part, problem),) = checked.problems
    assert (part, problem.startswith(message)) == ("Certificate", True), problem


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (Holder(SERVER.certificate, ec_key()).key_pem, "not the key of gatewayCertificate (CN=server)"),
        (SERVER.encrypted_key_pem("passphrase"), "encrypted with a passphrase"),
        (NO_KEY, "not a PEM private key"),
        (SERVER.pem, "not a PEM private key"),
    ],
)
def test_wrong_key_is_refused_without_being_shown(key: str, message: str) -> None:
    (problem,) = problems(SERVER, MIDDLE, key=key)
    assert problem.startswith(f"Key: {message}")
    assert not any(line in problem for line in key.splitlines())


def test_text_without_a_certificate_is_refused() -> None:
    checked = own_certificate.check("certificate", SERVER.key_pem, DOMAIN)
    assert checked.problems == (("Certificate", "not PEM certificates"),)
