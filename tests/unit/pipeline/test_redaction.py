"""Secrets that are masked."""

import base64

from pipeline.redaction import in_safe_parts, redacted
from tests.unit.pki import issue


def test_certificate_is_not_masked() -> None:
    pem = issue("public").pem
    encoded = base64.b64encode(pem.encode()).decode()
    assert redacted(f"{pem}{encoded}") == f"{pem}{encoded}"


def test_values_of_a_plan_are_withheld() -> None:
    error = "error: resource urn violates plan: properties changed: ~~kubeconfig[{&{{hunter2}}}!={x}]\nhunter2"
    assert redacted(error) == "error: resource urn violates plan: properties changed: (values withheld)\n"


def test_stream_is_masked_like_a_whole_text() -> None:
    key = issue("leak").key_pem
    lines = f"before\n{key}after\nerror: x violates plan: properties changed: ~~a[\nhunter2\n]\nhunter2\n".splitlines(
        True
    )
    parts = [*in_safe_parts(lines)]
    assert parts[0] == "before\n", "harmless lines are printed at once"
    assert "".join(parts) == (
        "before\n[secret]\nafter\nerror: x violates plan: properties changed: (values withheld)\n"
    )
