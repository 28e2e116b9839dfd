"""Direct connections out of a namespace."""

import pytest

from tests.unit.deployed import (
    demo_stack,
)
from tests.unit.verification.answered import NO_ROUTE, REFUSED, RESET, UNREACHED, printed
from tests.unit.verification.promises import BY_ADDRESS, OUT_OF_NAMESPACE
from tests.unit.verification.trying import FakeAttacker, attacked
from verification.answers import Answer
from verification.pods import Executed


@pytest.mark.parametrize(
    ("without_sidecar", "in_stack_namespace", "expected"),
    [
        (
            Executed(35, "0.000", "reset"),
            REFUSED,
            "no connection to https://httpbin.example.com:443/, https://httpbin.example.com:443/ at 192.0.2.7, http://192.",
        ),
        (RESET, Executed(28, "0.000", "timed out"), "no connection to https://httpbin.example.com:443/"),
        (RESET, Executed(28, "0.010", "timed out"), "FAILED: https://httpbin.example.com:443/ could be reached"),
        (RESET, Executed(35, "0.000", "reset"), "FAILED: https://httpbin.example.com:443/ could be reached"),
        (REFUSED, REFUSED, "SKIPPED: no Pod of this cluster connects directly"),
    ],
)
def test_pod_without_a_sidecar_must_not_connect_out_of_the_namespace(
    without_sidecar: Executed, in_stack_namespace: Executed, expected: str
) -> None:
    attacker = FakeAttacker(lambda *_: REFUSED, lambda *_: without_sidecar, lambda *_: in_stack_namespace)
    assert attacked(demo_stack(), OUT_OF_NAMESPACE, attacker).startswith(expected)


@pytest.mark.parametrize(
    ("by_tls", "by_http", "expected"),
    [
        (
            Executed(35, "0.000", ""),
            UNREACHED,
            "https://httpbin.example.com:443/ at 192.0.2.7: curl 35, http://192.0.2.7:80/: 503 of its sidecar",
        ),
        (
            Executed(60, "0.010", ""),
            UNREACHED,
            "FAILED: https://httpbin.example.com:443/ at 192.0.2.7 could be reached by TLS",
        ),
        (
            Executed(6, "0.000", "odd"),
            UNREACHED,
            "FAILED: https://httpbin.example.com:443/ at 192.0.2.7: curl ended with 6",
        ),
        (Executed(35, "0.000", ""), NO_ROUTE, "FAILED: http://192.0.2.7:80/: got 404"),
    ],
)
def test_sidecar_must_not_connect_by_address_or_other_port(
    monkeypatch: pytest.MonkeyPatch, by_tls: Executed, by_http: Answer, expected: str
) -> None:
    monkeypatch.setattr("verification.attacks.network._is_open", lambda _: True)
    assert attacked(demo_stack(), BY_ADDRESS, None, by_tls, printed(by_http)).startswith(expected)
