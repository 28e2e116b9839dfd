"""Undeclared callers of the egress gateway."""

import pytest

from tests.unit.deployed import (
    demo_stack,
)
from tests.unit.verification.answered import DENIED, NO_ROUTE, REFUSED, RESET, SERVED, UNREACHED, printed
from tests.unit.verification.promises import ACCOUNT, BARE, CALLER
from tests.unit.verification.trying import FakeAttacker, attacked
from verification.answers import Answer
from verification.attacks import egress_gateway, foreign_routes
from verification.pods import Executed


def test_callers_route_that_is_not_live_leaves_the_check_unjudged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(egress_gateway, "_LIVE_SECONDS", 0)
    attacker = FakeAttacker(lambda *_: REFUSED, lambda *_: REFUSED)
    assert attacked(demo_stack(), CALLER, attacker).startswith("UNJUDGED: the attacker's route is not live")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (printed(DENIED), "403"),
        (printed(SERVED), "FAILED: got 200"),
        (printed(UNREACHED), "FAILED: got 503"),
        (RESET, "FAILED: curl ended with 56, which is no refusal"),
    ],
)
def test_undeclared_caller_must_be_denied(answer: Executed, expected: str) -> None:
    def curl_with_sidecar(*arguments: str) -> Executed:
        is_control = any(each.startswith(foreign_routes.HEADER) for each in arguments)
        return printed(Answer(foreign_routes.TEAPOT, {}, "")) if is_control else answer

    attacker = FakeAttacker(curl_with_sidecar, lambda *_: REFUSED)
    assert attacked(demo_stack(), CALLER, attacker).startswith(expected)
    assert [each["kind"] for each in attacker.deployments[0]] == ["ServiceEntry", "DestinationRule", "VirtualService"]


@pytest.mark.usefixtures("services")
def test_each_pod_of_the_egress_gateway_is_asked() -> None:
    asked: list[tuple[str, ...]] = []

    def curl_without_sidecar(*arguments: str) -> Executed:
        asked.append(arguments)
        return Executed(52, "0.001", "") if "%{time_connect}" in arguments else printed(NO_ROUTE)

    attacked(demo_stack(), BARE, FakeAttacker(lambda *_: REFUSED, curl_without_sidecar))
    ways = {tuple(each for each in arguments if each.startswith("httpbin.example.com:")) for arguments in asked[1:]}
    assert ways == {
        ("httpbin.example.com::istio-egressgateway.istio-system.svc:",),
        ("httpbin.example.com:80:10.0.0.7:8080", "httpbin.example.com:443:10.0.0.7:8443"),
    }


@pytest.mark.usefixtures("services")
@pytest.mark.parametrize(
    ("connected", "answer", "expected"),
    [
        ("0.001", RESET, "http://httpbin.example.com:80: no answer (curl 56), http://httpbin.example.com:443: no"),
        ("0.001", printed(NO_ROUTE), "http://httpbin.example.com:80: 404"),
        ("0.001", printed(SERVED), "FAILED: http://httpbin.example.com:80: got 200 (of a service, "),
        ("0.000", RESET, "SKIPPED: the cluster's network refuses the connection"),
    ],
)
def test_pod_without_a_sidecar_must_not_use_the_egress_gateway(connected: str, answer: Executed, expected: str) -> None:
    def curl_without_sidecar(*arguments: str) -> Executed:
        return Executed(52, connected, "") if "%{time_connect}" in arguments else answer

    assert attacked(demo_stack(), BARE, FakeAttacker(lambda *_: REFUSED, curl_without_sidecar)).startswith(expected)


@pytest.mark.parametrize(
    ("undeclared", "declared", "expected"),
    [
        (printed(DENIED), SERVED, "403, and 200 for the declared one"),
        (printed(DENIED), DENIED, "FAILED: got 403"),
        (printed(SERVED), SERVED, "FAILED: got 200"),
        (printed(UNREACHED), SERVED, "UNJUDGED: got 503"),
        (RESET, SERVED, "UNJUDGED: curl ended with 56, which is no refusal"),
    ],
)
def test_undeclared_account_must_be_denied_while_the_declared_one_is_served(
    undeclared: Executed, declared: Answer, expected: str
) -> None:
    attacker = FakeAttacker(lambda *_: REFUSED, lambda *_: REFUSED, curl_of_undeclared_account=lambda *_: undeclared)
    assert attacked(demo_stack(), ACCOUNT, attacker, printed(declared)).startswith(expected)
