"""The engine's event log."""

import json
from pathlib import Path

import pytest

from pipeline import events

ERROR = json.dumps({"diagnosticEvent": {"severity": "error", "message": "<{%reset%}>it fails\n<{%reset%}>"}})
WARNING = json.dumps({"diagnosticEvent": {"severity": "warning", "message": "be careful\n"}})


def read(folder: Path, text: str) -> events.Messages:
    log = folder / "events"
    log.write_text(text)
    return events.read(log)


def test_errors_and_warnings_are_read_once_without_colors(tmp_path: Path) -> None:
    debug = json.dumps({"diagnosticEvent": {"severity": "debug", "message": "a"}})
    found = read(tmp_path, "\n".join(["{}", ERROR, WARNING, debug, ERROR, '{"summaryEvent": {}}', ""]))
    assert found == events.Messages(("it fails",), ("be careful",))


@pytest.mark.parametrize(("level", "kind"), [("mandatory", "errors"), ("advisory", "warnings"), ("disabled", "")])
def test_policy_is_an_error_or_a_warning_by_its_level(tmp_path: Path, level: str, kind: str) -> None:
    judged = {"policyName": "gateway-tls", "resourceUrn": "urn::orders", "message": "old\n", "enforcementLevel": level}
    found = read(tmp_path, json.dumps({"policyEvent": judged}))
    said = ("policy gateway-tls: orders: old",)
    assert (found.errors, found.warnings) == (said if kind == "errors" else (), said if kind == "warnings" else ())


@pytest.mark.parametrize("end", [ERROR[:-20], "{", "null", "[]", '{"diagnosticEvent": 1}', "\x00\ufffd"])
def test_log_that_is_cut_off_is_read_as_far_as_it_goes(tmp_path: Path, end: str) -> None:
    assert read(tmp_path, f"{ERROR}\n{end}") == events.Messages(("it fails",), is_cut=True)


def test_missing_log_has_no_messages(tmp_path: Path) -> None:
    assert events.read(tmp_path / "events") == events.Messages()
    assert read(tmp_path, "") == events.Messages()
