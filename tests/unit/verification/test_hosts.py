"""Promises of a host, with fakes for its gateway."""

import pytest
from cryptography import x509

from tests.unit.deployed import (
    ACME,
    HTTPBIN,
    IDENTITY,
    ORDERS,
    SUBJECT,
    demo_stack,
)
from tests.unit.verification.answered import DENIED, OK, UPSTREAM
from tests.unit.verification.promises import FIRST, METHOD, MISREAD, PATH
from tests.unit.verification.trying import FakeCluster, outcome
from verification.answers import RBAC, Answer
from verification.stack import DeployedStack
from verification.tls import ClientCredential, Endpoint


@pytest.mark.parametrize(
    ("answer", "platform", "promise", "expected"),
    [
        (OK, "kyma", "client warehouse is admitted", f"200, Subject {SUBJECT}, URI {IDENTITY}"),
        (DENIED, "kyma", "client warehouse is admitted", f"FAILED: got 403 {RBAC}"),
        (DENIED, "kyma", METHOD, "POST: 403"),
        (Answer(404, {}, ""), "kyma", METHOD, "POST: 404"),
        (Answer(404, {}, ""), "istio", METHOD, "FAILED: POST got 404"),
        (Answer(404, UPSTREAM, ""), "kyma", METHOD, "FAILED: POST got 404"),
        (OK, "istio", METHOD, "FAILED: POST got 200"),
    ],
)
def test_host_is_judged_by_its_answer(
    monkeypatch: pytest.MonkeyPatch, answer: Answer, platform: str, promise: str, expected: str
) -> None:
    monkeypatch.setattr(Endpoint, "request", lambda *_, **__: answer)
    monkeypatch.setattr(Endpoint, "requests", lambda *_: [OK, answer])
    assert outcome(demo_stack(platform=platform), FakeCluster(), promise).startswith(expected)


@pytest.mark.parametrize(
    ("host", "answer", "platform", "expected"),
    [
        (HTTPBIN, DENIED, "kyma", "GET /kyma-mtls-verification-"),
        (HTTPBIN, Answer(404, {}, ""), "kyma", "GET /kyma-mtls-verification-"),
        (HTTPBIN, Answer(404, {}, ""), "istio", "FAILED: GET /kyma-mtls-verification-"),
        (HTTPBIN, Answer(404, UPSTREAM, ""), "kyma", "FAILED: GET /kyma-mtls-verification-"),
        (ORDERS, Answer(403, UPSTREAM, "not yours"), "istio", "FAILED: GET /kyma-mtls-verification-"),
        ({**ORDERS, "methods": ["HEAD"]}, DENIED, "istio", "HEAD /kyma-mtls-verification-"),
        ({**ORDERS, "methods": ["POST"]}, DENIED, "istio", "GET /kyma-mtls-verification-"),
    ],
)
def test_path_that_is_not_allowed_must_be_refused(
    monkeypatch: pytest.MonkeyPatch, host: dict[str, object], answer: Answer, platform: str, expected: str
) -> None:
    monkeypatch.setattr(Endpoint, "request", lambda *_, **__: answer)
    monkeypatch.setattr(Endpoint, "requests", lambda *_: [OK, answer])
    stack = demo_stack(platform=platform, hosts={"it": {**host, "paths": ["/headers", "/v1/*"]}})
    assert outcome(stack, FakeCluster(), PATH).startswith(expected)


@pytest.mark.parametrize(
    ("kept", "expected"),
    [
        ([OK, DENIED], "POST: 403, also over an open connection"),
        ([OK, OK], "FAILED: POST got 200 (of a service, "),
        ([OK], "POST: 403"),
    ],
)
def test_refusal_must_hold_over_an_open_connection(
    monkeypatch: pytest.MonkeyPatch, kept: list[Answer], expected: str
) -> None:
    asked: list[tuple[str, str]] = []

    def requests(_: Endpoint, __: ClientCredential, *given: tuple[str, str]) -> list[Answer]:
        asked.extend(given)
        return kept

    monkeypatch.setattr(Endpoint, "request", lambda *_, **__: DENIED)
    monkeypatch.setattr(Endpoint, "requests", requests)
    seen = outcome(demo_stack(), FakeCluster(), METHOD)
    assert seen.startswith(expected)
    assert asked == [("GET", "/headers"), ("POST", "/")]
    assert "FAILED" not in expected or seen.endswith("after 200 over the same connection")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer(403, {}, ""), "GET /v1/..%2fkyma-mtls-verification: 403"),
        (DENIED, "GET /v1/..%2fkyma-mtls-verification: 403"),
        (Answer(403, UPSTREAM, ""), "FAILED: GET /v1/..%2fkyma-mtls-verification got 403 (of a service"),
        (Answer(404, UPSTREAM, ""), "FAILED: GET /v1/..%2fkyma-mtls-verification got 404"),
    ],
)
def test_path_that_a_server_may_decode_must_be_refused_by_the_gateway(
    monkeypatch: pytest.MonkeyPatch, answer: Answer, expected: str
) -> None:
    monkeypatch.setattr(Endpoint, "request", lambda *_, **__: answer)
    stack = demo_stack(hosts={"it": {**ORDERS, "paths": ["/health", "/v1/*"]}})
    assert outcome(stack, FakeCluster(), MISREAD).startswith(expected)


@pytest.mark.parametrize(
    ("methods", "sent"), [(["GET", "POST"], "HEAD"), (["POST", "HEAD"], "GET"), (["GET", "HEAD", "PUT"], "OPTIONS")]
)
def test_own_service_gets_safe_methods_only(monkeypatch: pytest.MonkeyPatch, methods: list[str], sent: str) -> None:
    asked: list[str] = []

    def request(_: Endpoint, method: str, *__: object) -> Answer:
        asked.append(method)
        return DENIED

    monkeypatch.setattr(Endpoint, "request", request)
    monkeypatch.setattr(Endpoint, "requests", lambda *_: [OK, DENIED])
    stack = demo_stack(hosts={"it": {**ORDERS, "methods": methods}})
    assert outcome(stack, FakeCluster(), METHOD).startswith(f"{sent}: 403")
    assert asked == [sent]


@pytest.mark.parametrize(
    ("config", "subject", "names"),
    [
        ({}, SUBJECT, [x509.UniformResourceIdentifier(IDENTITY)]),
        (
            {"clients": {"acme": ACME}},
            "CN=verification.invalid",
            [x509.UniformResourceIdentifier("spiffe://acme.example/client")],
        ),
        (
            {"clients": {"acme": {**ACME, "identity": "dns:client.acme.example"}}},
            "CN=verification.invalid",
            [x509.DNSName("client.acme.example")],
        ),
        ({"hosts": {"httpbin": {**HTTPBIN, "clients": []}}}, "CN=verification.invalid", []),
    ],
)
def test_foreign_certificate_copies_an_admitted_clients(
    monkeypatch: pytest.MonkeyPatch, config: dict[str, object], subject: str, names: list[x509.GeneralName]
) -> None:
    seen: list[ClientCredential] = []

    def refuse(_: Endpoint, credential: ClientCredential, *__: object) -> str:
        seen.append(credential)
        return "unknown ca"

    monkeypatch.setattr(Endpoint, "alert", refuse)
    assert outcome(demo_stack(**config), FakeCluster(), FIRST[1]) == "TLS 1.2: unknown ca, TLS 1.3: unknown ca"
    certificate = x509.load_pem_x509_certificate(seen[0].certificate)
    assert certificate.subject.rfc4514_string() == certificate.issuer.rfc4514_string() == subject
    found = [
        name
        for extension in certificate.extensions
        if isinstance(extension.value, x509.SubjectAlternativeName)
        for name in extension.value
    ]
    assert found == names


def test_output_without_a_valid_subject_fails_the_check() -> None:
    stack = demo_stack()
    client = stack.outputs.clients["warehouse"].model_copy(update={"subject": "no pairs"})
    outputs = stack.outputs.model_copy(update={"clients": {"warehouse": client}})
    seen = outcome(DeployedStack("test", stack.settings, outputs), FakeCluster(), FIRST[1])
    assert seen == "FAILED: output clients.warehouse.subject: 'no pairs' is no Subject"
