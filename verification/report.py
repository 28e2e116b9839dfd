"""Verdicts as lines on the console, as JSON and as JUnit XML."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from rich.console import Console
from rich.markup import escape
from rich.status import Status

from verification.checks import Check
from verification.runner import Outcome, Verdict, printable
from verification.strictness import Strict

_SHOWN = 160


@dataclass
class Report:
    """Prints each verdict under its group's heading, and keeps all of them."""

    console: Console
    status: Status | None = None
    verdicts: list[tuple[Check, Outcome]] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    strict: Strict = field(default_factory=Strict)
    not_sought: list[str] = field(default_factory=list)

    @contextmanager
    def shown_status(self) -> Iterator[None]:
        """Show the progress in this context."""
        self.status = self.console.status("")
        self.status.start()
        try:
            yield
        finally:
            with suppress(OSError):  # after SIGHUP, its terminal may be gone
                self.status.stop()

    def waiting(self, done: int, total: int, retried: str) -> None:
        """Show how many checks are done, and the last result of one that is tried again."""
        if self.status:
            self.status.update(f"{done} of {total} done [dim]{escape(retried[:_SHOWN])}[/]")

    def judged(self, check: Check, outcome: Outcome) -> None:
        """Print and keep the outcome of a check."""
        outcome = self.strict.judged(check, outcome)
        if not self.verdicts or self.verdicts[-1][0].group != check.group:
            self.console.print(f"[bold]{escape(check.group)}[/]")
        self.verdicts.append((check, outcome))
        promise, saw = escape(check.promise), escape(outcome.saw)
        match outcome.verdict:
            case Verdict.PASSED:
                self.console.print(f"  [green]PASS[/] {promise}: {saw}")
            case Verdict.SKIPPED:
                self.console.print(f"  [yellow]SKIP[/] {promise}: {saw}")
            case Verdict.ERROR:
                self.console.print(f"  [red]????[/] {promise}: could not be judged: {saw}")
            case Verdict.FAILED:
                lines = {"expected": escape(check.expected), "saw": saw, "look": escape(check.look)}
                details = [f"\n{f'{name}: ':>17}{_indented(text)}" for name, text in lines.items()]
                self.console.print(f"  [red]FAIL[/] {promise}{''.join(details)}")

    def leaves(self, commands: Iterable[str]) -> None:
        """Print and keep the commands that remove objects left in the clusters."""
        for command in commands:
            self.left.append(command)
            with suppress(OSError):
                self.console.print(f"[red]left behind[/] in the {escape(command)}")

    def does_not_know(self, where: str, reason: str) -> None:
        """Print and keep why it is not known whether a killed run left objects in a cluster."""
        self.not_sought.append(f"{where}: {reason}")
        color = "red" if self._is_unknown else "yellow"
        self.console.print(f"[{color}]not sought[/] in the {escape(where)}, what a killed run left: {escape(reason)}")

    @property
    def exit_code(self) -> int:
        """1 if a promise is broken; 2 if one could not be judged, or if an object is, or may be, left in a cluster."""
        if self.totals[Verdict.FAILED]:
            return 1
        return 2 if self.totals[Verdict.ERROR] or self.left or self._is_unknown else 0

    @property
    def _is_unknown(self) -> bool:
        """Whether it must be known, and is not, what a killed run left."""
        return any(self.strict.forbids(f"what a killed run left in the {each}") for each in self.not_sought)

    @property
    def totals(self) -> Counter[Verdict]:
        """The number of checks with each verdict."""
        return Counter(outcome.verdict for _, outcome in self.verdicts)

    @property
    def summary(self) -> str:
        """The totals on one line."""
        ended = (Verdict.PASSED, Verdict.FAILED, Verdict.SKIPPED)
        errors = self.totals[Verdict.ERROR]
        counts = [f"{self.totals[verdict]} {verdict.value}" for verdict in ended]
        return ", ".join([*counts, f"{errors} could not be judged"] if errors else counts)

    def document(self, about: Mapping[str, Any], ended: str | None = None) -> dict[str, Any]:
        """Return all verdicts as a document for JSON.

        about: what it says beside them: the stack and the run
        ended: the signal that ended the run; None if it came to its end
        """
        checks = [
            {
                "group": check.group,
                "host": check.host or None,
                "client": check.client or None,
                "promise": check.promise,
                "verdict": outcome.verdict.value,
                "expected": check.expected or None,
                "seen": outcome.saw,
                "look": check.look or None,
                "seconds": round(outcome.seconds, 1),
            }
            for check, outcome in self.verdicts
        ]
        totals = {verdict.value: self.totals[verdict] for verdict in Verdict}
        rest = {"checks": checks, "totals": totals, "left": self.left, "notSought": self.not_sought}
        return {**about, "ended": ended, "exitCode": self.exit_code, **rest}

    def write_junit(self, stack: str, path: Path, *, problem: str = "") -> None:
        """Write all verdicts as JUnit XML: a suite for each group.

        problem: why not every promise was judged, which is an error of its own; empty for a run that came to its end
        """
        run = [(Check("run", "the run comes to its end", "", str, ""), Outcome(Verdict.ERROR, printable(problem)))]
        every = [*self.verdicts, *run] if problem else self.verdicts
        root = ET.Element("testsuites", {"name": f"kyma-mtls {stack}", **_counts(every)})
        for group, verdicts in groupby(every, key=lambda each: each[0].group):
            suite = list(verdicts)
            element = ET.SubElement(root, "testsuite", {"name": group, **_counts(suite)})
            for check, outcome in suite:
                _add_case(element, check, outcome)
        ET.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def as_json(document: Mapping[str, Any]) -> str:
    """Return a document as the command prints it."""
    return json.dumps(document, indent=2)


def _counts(verdicts: list[tuple[Check, Outcome]]) -> dict[str, str]:
    ended = Counter(outcome.verdict for _, outcome in verdicts)
    counts: dict[str, Any] = {
        "tests": len(verdicts),
        "failures": ended[Verdict.FAILED],
        "errors": ended[Verdict.ERROR],
        "skipped": ended[Verdict.SKIPPED],
        "time": round(sum(outcome.seconds for _, outcome in verdicts), 1),
    }
    return {name: str(value) for name, value in counts.items()}


def _add_case(suite: ET.Element, check: Check, outcome: Outcome) -> None:
    about = {"classname": check.group, "name": check.promise, "time": f"{outcome.seconds:.1f}"}
    case = ET.SubElement(suite, "testcase", about)
    match outcome.verdict:
        case Verdict.FAILED:
            failure = ET.SubElement(case, "failure", {"message": outcome.saw.splitlines()[0]})
            failure.text = f"expected: {check.expected}\nsaw: {outcome.saw}\nlook: {check.look}"
        case Verdict.ERROR:
            ET.SubElement(case, "error", {"message": outcome.saw.splitlines()[0]}).text = outcome.saw
        case Verdict.SKIPPED:
            ET.SubElement(case, "skipped", {"message": outcome.saw})
        case Verdict.PASSED:
            ET.SubElement(case, "system-out").text = f"expected: {check.expected}\nsaw: {outcome.saw}"


def _indented(text: str) -> str:
    return text.replace("\n", f"\n{' ' * 17}")
