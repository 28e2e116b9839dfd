"""Refusals by TLS and by the gateway's policy."""

import ssl

import pytest

from tests.unit.deployed import (
    HTTPBIN,
    demo_stack,
)
from tests.unit.verification.answered import DENIED, OK, UPSTREAM
from tests.unit.verification.promises import FIRST
from tests.unit.verification.trying import FakeCluster, outcome
from verification.answers import Answer
from verification.tls import ClientCredential, Endpoint


def alert(name: str) -> ssl.SSLError:
    error = ssl.SSLError(1, f"[SSL] {name}")
    error.reason = name
    return error


@pytest.mark.parametrize(
    ("alerts", "expected"),
    [
        (("handshake failure", "unknown ca", "certificate required"), "TLS 1.2: handshake failure, TLS 1.3: cert"),
        (
            ("handshake failure", "handshake failure", "certificate required"),
            "FAILED: TLS 1.2: alert handshake failure",
        ),
        (
            ("protocol version", "protocol version", "certificate required"),
            "TLS 1.2: not offered, TLS 1.3: certificate",
        ),
        (("handshake failure", "unknown ca", "handshake failure"), "FAILED: TLS 1.3: alert handshake failure, which"),
        (("protocol version",) * 3, "FAILED: the gateway offers no version of TLS: TLS 1.2: not offered, TLS 1.3: not"),
        (("internal error", "unknown ca", "certificate required"), "FAILED: TLS 1.2: alert internal error, which is"),
        ((None, None, "certificate required"), "FAILED: TLS 1.2: the handshake succeeded"),
    ],
)
def test_alert_unrelated_to_certificates_is_no_refusal(
    monkeypatch: pytest.MonkeyPatch, alerts: tuple[str | None, str | None, str | None], expected: str
) -> None:
    bare, stranger, newer = alerts

    def said(_: Endpoint, credential: ClientCredential | None, version: ssl.TLSVersion, *__: object) -> str | None:
        if version == ssl.TLSVersion.TLSv1_3:
            return newer
        return stranger if credential else bare

    monkeypatch.setattr(Endpoint, "alert", said)
    assert outcome(demo_stack(), FakeCluster(), FIRST[0]).startswith(expected)


@pytest.mark.parametrize(
    ("by_1_2", "version"),
    [("unknown ca", "TLSv1_2"), ("protocol version", "TLSv1_3"), ("handshake failure", "TLSv1_3")],
)
def test_client_refusal_is_tried_by_an_offered_version_of_tls(
    monkeypatch: pytest.MonkeyPatch, by_1_2: str, version: str
) -> None:
    asked: list[ssl.TLSVersion] = []

    def request(_: Endpoint, __: str, ___: str, ____: ClientCredential, version: ssl.TLSVersion) -> Answer:
        asked.append(version)
        return DENIED

    by_version = {ssl.TLSVersion.TLSv1_2: by_1_2, ssl.TLSVersion.TLSv1_3: "unknown ca"}
    monkeypatch.setattr(Endpoint, "alert", lambda _, __, version: by_version[version])
    monkeypatch.setattr(Endpoint, "request", request)
    stack = demo_stack(hosts={"httpbin": {**HTTPBIN, "clients": []}})
    assert outcome(stack, FakeCluster(), "client warehouse is refused") == "403"
    assert [each.name for each in asked] == [version]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (DENIED, "403"),
        (alert("TLSV1_ALERT_UNKNOWN_CA"), "alert unknown ca"),
        (alert("TLSV1_ALERT_INTERNAL_ERROR"), "FAILED: alert internal error, which is not about the certificate"),
        (Answer(403, UPSTREAM, "not yours"), "FAILED: got 403 (of a service, 9 characters)"),
        (OK, "FAILED: got 200"),
        (Answer(404, {}, ""), "FAILED: got 404"),
    ],
)
def test_client_that_is_not_admitted_must_be_refused(
    monkeypatch: pytest.MonkeyPatch, answer: Answer | ssl.SSLError, expected: str
) -> None:
    def request(*_: object) -> Answer:
        if isinstance(answer, ssl.SSLError):
            raise answer
        return answer

    monkeypatch.setattr(Endpoint, "alert", lambda *_: "unknown ca")
    monkeypatch.setattr(Endpoint, "request", request)
    stack = demo_stack(hosts={"httpbin": {**HTTPBIN, "clients": []}})
    assert outcome(stack, FakeCluster(), "client warehouse is refused").startswith(expected)


def test_tls_error_without_alert_is_no_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    def request(*_: object) -> Answer:
        raise alert("CERTIFICATE_VERIFY_FAILED")

    monkeypatch.setattr(Endpoint, "alert", lambda *_: "unknown ca")
    monkeypatch.setattr(Endpoint, "request", request)
    with pytest.raises(ssl.SSLError):
        outcome(demo_stack(hosts={"httpbin": {**HTTPBIN, "clients": []}}), FakeCluster(), "client warehouse is refused")
