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
if sys.argv[1] == "stack":
    print((folder / f"{{sys.argv[2]}}.json").read_text())
    sys.exit()
kind = "refresh" if "--refresh" in sys.argv else sys.argv[1]
said = json.loads((folder / "answers.json").read_text())[kind]
with (folder / "calls").open("a") as calls:
    calls.write(" ".join([kind, *sys.argv[1:]]) + "\\n")
value = lambda option: pathlib.Path(sys.argv[sys.argv.index(option) + 1])
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
        updates = [{"kind": "update", "environment": {"git.head": commit}}] if commit else []
        (self.folder / "history.json").write_text(json.dumps(updates))

    def has(self, inputs: Mapping[str, Any]) -> None:
        """Set the state: the inputs of each resource, by its URN."""
        resources = [{"urn": urn, "inputs": each} for urn, each in inputs.items()]
        (self.folder / "export.json").write_text(json.dumps({"deployment": {"resources": resources}}))

    @property
    def calls(self) -> list[str]:
        """The commands that were run, `refresh` for a preview with refresh."""
        calls = self.folder / "calls"
        return [line.split()[0] for line in calls.read_text().splitlines()] if calls.exists() else []
