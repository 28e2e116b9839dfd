"""Flawed certificates of the stack's CA."""

from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.unit.deployed import (
    AUTHORITY,
    SUBJECT,
    demo_stack,
)
from tests.unit.verification.answered import DENIED, NO_ROUTE, SERVED
from tests.unit.verification.promises import CERTIFICATES, UNLISTED
from tests.unit.verification.trying import attacked
from verification.answers import Answer
from verification.tls import ClientCredential, Endpoint


@pytest.mark.parametrize(
    ("promise", "flawed", "right", "expected"),
    [
        (CERTIFICATES[0], "certificate expired", None, "TLS 1.2: certificate expired, TLS 1.3: certificate expired"),
        (CERTIFICATES[1], "certificate expired", None, "TLS 1.2: certificate expired"),
        (CERTIFICATES[2], "unsupported certificate", None, "TLS 1.2: unsupported certificate"),
        (CERTIFICATES[2], None, None, "FAILED: TLS 1.2: the handshake succeeded"),
        (
            CERTIFICATES[0],
            "unknown ca",
            "unknown ca",
            "FAILED: TLS 1.2: unknown ca, TLS 1.3: unknown ca, but a certificate without the flaw",
        ),
    ],
)
def test_flawed_certificate_is_compared_with_a_valid_one(
    monkeypatch: pytest.MonkeyPatch, promise: str, flawed: str | None, right: str | None, expected: str
) -> None:
    def alert(_: Endpoint, credential: ClientCredential, *__: object) -> str | None:
        certificate = x509.load_pem_x509_certificate(credential.certificate)
        usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        now = datetime.now(UTC)
        is_right = certificate.not_valid_before_utc < now < certificate.not_valid_after_utc
        assert certificate.subject.rfc4514_string() == SUBJECT
        certificate.verify_directly_issued_by(AUTHORITY.certificate)
        return right if is_right and ExtendedKeyUsageOID.CLIENT_AUTH in usages else flawed

    monkeypatch.setattr(Endpoint, "alert", alert)
    assert attacked(demo_stack(), promise).startswith(expected)


@pytest.mark.parametrize(
    ("answer", "expected"), [(DENIED, "403"), (SERVED, "FAILED: got 200"), (NO_ROUTE, "FAILED: got 404")]
)
def test_unlisted_identity_must_be_denied(monkeypatch: pytest.MonkeyPatch, answer: Answer, expected: str) -> None:
    monkeypatch.setattr(Endpoint, "alert", lambda *_: "unknown ca")
    monkeypatch.setattr(Endpoint, "request", lambda *_, **__: answer)
    assert attacked(demo_stack(), UNLISTED).startswith(expected)
