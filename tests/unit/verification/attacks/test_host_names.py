"""Spellings of a domain, and requests with the SNI of a different host."""

import pytest

from tests.unit.deployed import (
    HTTPBIN,
    KYMA_GATEWAY,
    ORDERS,
    TARGET,
    WAREHOUSE,
    demo_stack,
    stack_of,
)
from tests.unit.verification.answered import DENIED, NO_ROUTE, SERVED
from tests.unit.verification.promises import FRONTED, FRONTED_BY_KYMA, SPELLED
from tests.unit.verification.trying import attacked
from verification.answers import RBAC, Answer
from verification.tls import ClientCredential, Endpoint


@pytest.mark.parametrize(
    ("platform", "served", "expected"),
    [
        ("istio", {"HTTPBIN.EXAMPLE.COM", "httpbin.example.com:443"}, "served as HTTPBIN.EXAMPLE.COM and httpbin."),
        ("istio", {"HTTPBIN.EXAMPLE.COM"}, f"FAILED: Host httpbin.example.com:443: got 403 {RBAC}"),
        ("kyma", {"HTTPBIN.EXAMPLE.COM"}, "served as HTTPBIN.EXAMPLE.COM"),
        ("kyma", set(), "FAILED: Host HTTPBIN.EXAMPLE.COM"),
    ],
)
def test_every_spelling_of_a_domain_must_be_served(
    monkeypatch: pytest.MonkeyPatch, platform: str, served: set[str], expected: str
) -> None:
    monkeypatch.setattr(Endpoint, "request", lambda *_, host: SERVED if host in served else DENIED)
    assert attacked(demo_stack(platform=platform), SPELLED).startswith(expected)


@pytest.mark.parametrize(
    ("open_name", "expected"),
    [
        ("", "SNI orders.example.com: 403 and 404"),
        ("httpbin.example.com", "FAILED: SNI orders.example.com, Host httpbin.example.com: got 200"),
        ("httpbin.example.com:443", "FAILED: SNI orders.example.com, Host httpbin.example.com:443: got 200"),
        ("HTTPBIN.EXAMPLE.COM", "FAILED: SNI orders.example.com, Host HTTPBIN.EXAMPLE.COM: got 200"),
        ("httpbin.example.com.", "FAILED: SNI orders.example.com, Host httpbin.example.com.: got 200"),
        ("HTTP/2", "FAILED: SNI orders.example.com, Host httpbin.example.com by HTTP/2: got 200"),
    ],
)
def test_no_spelling_of_a_domain_passes_with_sni_of_a_different_host(
    monkeypatch: pytest.MonkeyPatch, open_name: str, expected: str
) -> None:
    def request(endpoint: Endpoint, *_: object, host: str) -> Answer:
        assert endpoint.domain == "orders.example.com"
        return SERVED if host == open_name else (DENIED if ":" in host else NO_ROUTE)

    monkeypatch.setattr(Endpoint, "request", request)
    monkeypatch.setattr(Endpoint, "request_http2", lambda *_, **__: SERVED if open_name == "HTTP/2" else NO_ROUTE)
    hosts = {"httpbin": {**HTTPBIN, "clients": []}, "orders": {**ORDERS, "clients": ["warehouse"]}}
    assert attacked(demo_stack(hosts=hosts), FRONTED).startswith(expected)


def test_kyma_gateway_asks_for_no_certificate_and_is_no_front(monkeypatch: pytest.MonkeyPatch) -> None:
    def request(endpoint: Endpoint, _: str, __: str, credential: ClientCredential | None, *, host: str) -> Answer:
        assert (endpoint.domain, credential) == ("verification.kyma.example.com", None)
        return SERVED if host.isupper() else NO_ROUTE

    monkeypatch.setattr(Endpoint, "request", request)
    monkeypatch.setattr(Endpoint, "request_http2", request)
    stack = stack_of(KYMA_GATEWAY, target=TARGET, clients={"warehouse": WAREHOUSE}, hosts={"httpbin": HTTPBIN})
    assert attacked(stack, FRONTED_BY_KYMA).startswith(
        "FAILED: SNI verification.kyma.example.com, Host HTTPBIN.EXAMPLE.COM"
    )
