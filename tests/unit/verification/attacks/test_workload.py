"""Pods that call a workload past the gateway."""

import pytest

from tests.unit.deployed import (
    IDENTITY,
    demo_stack,
)
from tests.unit.verification.answered import DENIED, RESET, SERVED, TIMED_OUT, UNREACHED, UPSTREAM, printed
from tests.unit.verification.promises import WORKLOAD
from tests.unit.verification.trying import FakeAttacker, attacked
from verification.answers import Answer
from verification.pods import Executed


@pytest.mark.usefixtures("services")
@pytest.mark.parametrize(
    ("with_sidecar", "without_sidecar", "expected"),
    [
        (DENIED, printed(DENIED), "403"),
        (DENIED, RESET, "403, no connection"),
        (UNREACHED, TIMED_OUT, "SKIPPED: no policy answered"),
        (SERVED, RESET, "FAILED: a Pod with a sidecar at httpbin.mtls.svc:8000: got 200"),
        (DENIED, printed(SERVED), "FAILED: a Pod without a sidecar at httpbin.mtls.svc:8000: got 200"),
        (
            DENIED,
            printed(Answer(404, UPSTREAM, "")),
            "FAILED: a Pod without a sidecar at httpbin.mtls.svc:8000: got 404",
        ),
        (
            DENIED,
            Executed(6, "", "no such host"),
            "FAILED: a Pod without a sidecar at httpbin.mtls.svc:8000: curl ended",
        ),
    ],
)
def test_workload_must_refuse_calls_past_the_gateway(
    with_sidecar: Answer, without_sidecar: Executed, expected: str
) -> None:
    attacker = FakeAttacker(lambda *_: printed(with_sidecar), lambda *_: without_sidecar)
    assert attacked(demo_stack(), WORKLOAD, attacker).startswith(expected)


@pytest.mark.usefixtures("services")
def test_workload_is_asked_at_each_address_with_and_without_the_gateways_header() -> None:
    asked: list[tuple[str, ...]] = []

    def curl(*arguments: str) -> Executed:
        asked.append(arguments)
        return printed(DENIED)

    attacked(demo_stack(), WORKLOAD, FakeAttacker(curl, curl))
    assert {arguments[-1] for arguments in asked} == {
        *("http://httpbin.mtls.svc:8000/headers", "http://10.0.0.7:8080/headers")
    }
    disguised = [arguments for arguments in asked if any(IDENTITY in each for each in arguments)]
    assert len(disguised) == len(asked) / 2
    assert all("Host: httpbin.example.com" in arguments for arguments in disguised)
