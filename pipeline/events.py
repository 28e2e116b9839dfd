"""The messages in the event log that the engine writes."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_COLOR = re.compile(r"<\{%.*?%\}>")
_LEVELS = {"mandatory": "error", "advisory": "warning"}


@dataclass(frozen=True)
class Messages:
    """The errors and warnings of a run, those of policies included.

    is_cut: whether the log ends in the middle, as after the engine was killed
    """

    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    is_cut: bool = False


def read(log: Path) -> Messages:
    """Read an event log, as far as it goes; no messages if there is none."""
    if not log.exists():
        return Messages()
    found: dict[str, list[str]] = {"error": [], "warning": []}
    is_cut = False
    for line in filter(None, log.read_text(errors="replace").split("\n")):
        try:
            for level, message in _messages(json.loads(line)):
                found.get(level, []).append(_COLOR.sub("", message).strip())
        except (ValueError, AttributeError):  # no JSON, or no structure
            is_cut = True
    return Messages(_once(found["error"]), _once(found["warning"]), is_cut)


def _messages(event: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the level and the text of each message of an event."""
    said, judged = event.get("diagnosticEvent") or {}, event.get("policyEvent") or {}
    if said:
        yield said.get("severity", ""), str(said.get("message", ""))
    if judged:
        level, resource = judged.get("enforcementLevel", ""), judged.get("resourceUrn", "").rpartition("::")[2]
        yield _LEVELS.get(level, ""), f"policy {judged.get('policyName')}: {resource}: {judged.get('message', '')}"


def _once(messages: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(messages))
