"""Client certificates that the verification issues."""

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from tests.unit.deployed import (
    AUTHORITY,
    CA,
)
from tests.unit.pki import issue
from tests.unit.verification.trying import state_with
from verification.checks import Failed
from verification.issuing import Authority, Wanted, foreign_credential


def test_foreign_credential_signs_itself() -> None:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "client.example.com")])
    certificate = x509.load_pem_x509_certificate(foreign_credential(subject).certificate)
    assert certificate.subject == certificate.issuer == subject


def test_key_of_ca_is_read_once_and_found_by_its_certificate() -> None:
    exports: list[str] = []

    def export() -> str:
        exports.append(state_with(issue("other").key_pem, AUTHORITY.key_pem))
        return exports[-1]

    authority = Authority(CA, export)
    for _ in range(2):
        signed = authority.sign(Wanted(x509.Name([])))
        x509.load_pem_x509_certificate(signed.certificate).verify_directly_issued_by(AUTHORITY.certificate)
    assert len(exports) == 1
    assert "PRIVATE KEY" not in repr(authority) + repr(signed)


def test_state_without_the_key_of_the_ca_fails_the_check() -> None:
    with pytest.raises(Failed, match="the state has no private key of output caCertificate"):
        Authority(CA, lambda: state_with(issue("other").key_pem)).sign(Wanted(x509.Name([])))
