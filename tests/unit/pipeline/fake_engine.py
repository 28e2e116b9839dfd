"""A program that answers in the place of the engine."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clusters.rights import RENEWAL

PULUMI = """#!{python}
import json, os, pathlib, sys
folder = pathlib.Path({folder!r})
value = lambda option: pathlib.Path(sys.argv[sys.argv.index(option) + 1])
if sys.argv[1] in ("stack", "config"):
    of = sys.argv[2 if sys.argv[1] == "stack" else 1]
    is_further = "--page" in sys.argv and str(value("--page")) != "1"
    print("[]" if is_further else (folder / f"{{of}}.json").read_text())
    sys.exit()
kind = "refresh" if "--refresh" in sys.argv else sys.argv[1]
said = json.loads((folder / "answers.json").read_text())[kind]
with (folder / "calls").open("a") as calls:
    calls.write(" ".join([kind, *sys.argv[1:]]) + "\\n")
if {renewal!r} in os.environ:
    with (folder / "renewals").open("a") as renewals:
        renewals.write(kind + "\\n")
if "plan" in said:
    value("--save-plan").write_text(json.dumps({{"resourcePlans": said["plan"]}}))
events = [{{"diagnosticEvent": {{"severity": "error", "message": each}}}} for each in said.get("errors", [])]
events += [{{"policyEvent": each}} for each in said.get("judged", [])]
value("--event-log").write_text("".join(json.dumps(each) + "\\n" for each in [{{"preludeEvent": {{}}}}, *events]))
print(said.get("output", ""))
sys.exit(said.get("exit", 0))
"""
INTERRUPTED = """#!{python}
import os, signal, sys, time

def interrupted(*_):
    signal.signal(signal.SIGINT, lambda *_: os._exit(3))  # by a second SIGINT
    for _ in range(3):
        os.kill(os.getppid(), {number})
        time.sleep(0.1)
    print("error: update cancelled")
    sys.exit(255)

signal.signal(signal.SIGINT, interrupted)
while True:  # until it gets its SIGINT
    os.kill(os.getppid(), {number})
    time.sleep(0.1)
"""
"""An engine that signals only the command, at once and until the command sends it a SIGINT, by which it ends."""
HEAD = "3d3c42e5aac5ba805825da76410c181273ba90b1"
LEAK = "urn violates plan: properties changed: ~~input[{&{{hunter2}}}!={x}]"


class Secret(str):
    """A text that the config encrypts."""


def values(**config: Any) -> dict[str, Any]:
    """Return a config as the engine prints it, secrets in clear."""
    return {f"kyma-mtls:{key}": _printed(value) for key, value in config.items()}


def update(kind: str = "update", result: str = "succeeded", **described: Any) -> dict[str, Any]:
    """Return an update as the engine prints it."""
    base = {"startTime": "2026-11-01T10:00:00.000Z", "environment": {}, "config": {}}
    return {"kind": kind, "result": result, **base, **described}


def _printed(value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        return {"value": value, "secret": isinstance(value, Secret)}
    return {"value": json.dumps(value), "objectValue": value, "secret": _has_secret(value)}


def _has_secret(value: Any) -> bool:
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return isinstance(value, Secret) or any(_has_secret(each) for each in parts)


class Engine:
    """A `pulumi` on PATH, with the answers that a test sets."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.answers: dict[str, Any] = {"preview": {"plan": {}}, "refresh": {"plan": {}}, "up": {}}
        program = folder / "bin/pulumi"
        program.parent.mkdir()
        program.write_text(PULUMI.format(python=sys.executable, folder=str(folder), renewal=RENEWAL))
        program.chmod(0o755)

    def answer(self, command: str, **answer: Any) -> None:
        """Set the answer to a command, of a preview with refresh to `refresh`: plan, output, errors, judged, exit."""
        self.answers[command] = answer
        (self.folder / "answers.json").write_text(json.dumps(self.answers))

    def deployed_from(self, commit: str | None) -> None:
        """Set the commit from which the stack was last changed; None if it never was."""
        self.updated(*([update(environment={"git.head": commit})] if commit else []))

    def updated(self, *updates: Mapping[str, Any]) -> None:
        """Set the updates of the stack, the last one first."""
        (self.folder / "history.json").write_text(json.dumps(updates))

    def configured(self, **config: Any) -> None:
        """Set the config of the stack's file, secrets in clear."""
        (self.folder / "config.json").write_text(json.dumps(values(**config)))

    def has(self, inputs: Mapping[str, Any]) -> None:
        """Set the state: the inputs of each resource, by its URN."""
        resources = [{"urn": urn, "inputs": each} for urn, each in inputs.items()]
        (self.folder / "export.json").write_text(json.dumps({"deployment": {"resources": resources}}))

    @property
    def calls(self) -> list[str]:
        """The commands that were run, `refresh` for a preview with refresh."""
        calls = self.folder / "calls"
        return [line.split()[0] for line in calls.read_text().splitlines()] if calls.exists() else []
