"""Forged headers."""

from dataclasses import replace

import pytest

from tests.unit.deployed import (
    IDENTITY,
    SUBJECT,
    demo_stack,
)
from tests.unit.verification.answered import SERVED, printed
from tests.unit.verification.promises import FORGED, FORGED_BY_CALLER
from tests.unit.verification.trying import attacked
from verification.answers import Answer
from verification.tls import Endpoint


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (SERVED.body, f"200, Subject {SUBJECT}"),
        (
            SERVED.body.replace('["', '["URI=spiffe://forged.invalid/b,'),
            f"FAILED: 200, Subject {SUBJECT}, URI {IDENTITY}; but",
        ),
        (SERVED.body.replace("warehouse", "forged"), "FAILED: got 200, but X-Forwarded-Client-Cert has"),
    ],
)
def test_forged_header_must_not_come_through(monkeypatch: pytest.MonkeyPatch, body: str, expected: str) -> None:
    answer = replace(SERVED, body=body)
    sent: list[dict[str, str]] = []

    def request(*_: object, headers: dict[str, str]) -> Answer:
        sent.append(headers)
        return answer

    monkeypatch.setattr(Endpoint, "request", request)
    assert attacked(demo_stack(), FORGED).startswith(expected)
    assert "spiffe://forged.invalid/b" in sent[0]["X-Forwarded-Client-Cert"]
    assert attacked(demo_stack(), FORGED_BY_CALLER, None, printed(answer)).startswith(expected)
