"""Verdicts of a JSON document, counted and put together by what they are about."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Document = Mapping[str, Any]
Check = Mapping[str, Any]

WORDS = {"failed": "broken", "error": "not judged", "passed": "kept", "skipped": "not tried"}
"""How the page calls each verdict, in the order in which one outweighs the next."""


@dataclass(frozen=True)
class Tally:
    """The verdicts on several promises."""

    counts: Counter[str] = field(default_factory=Counter)

    @property
    def verdict(self) -> str:
        """The verdict that outweighs the others; skipped if there is none."""
        return next((each for each in WORDS if self.counts[each]), "skipped")

    @property
    def words(self) -> str:
        """The number of each verdict."""
        counted = [f"{self.counts[each]} {word}" for each, word in WORDS.items() if self.counts[each]]
        return ", ".join(counted) or "nothing tried"

    @property
    def total(self) -> int:
        """The number of promises."""
        return self.counts.total()


@dataclass(frozen=True)
class Group:
    """The checks under one heading."""

    name: str
    anchor: str
    checks: Sequence[Check]

    @property
    def tally(self) -> Tally:
        """Its verdicts."""
        return tally(self.checks)


class Verdicts:
    """The checks of a document by host and client."""

    def __init__(self, checks: Iterable[Check]) -> None:
        self._about: defaultdict[tuple[str | None, str | None], list[Check]] = defaultdict(list)
        for check in checks:
            self._about[check.get("client"), check.get("host")].append(check)

    def of(self, client: str | None, host: str | None) -> Tally | None:
        """Return the verdicts on the promises about exactly this client and this host; None if there is none.

        client, host: None for promises that are about no single one
        """
        found = self._about.get((client, host))
        return tally(found) if found else None


def tally(checks: Iterable[Check]) -> Tally:
    """Count the verdicts of checks."""
    return Tally(Counter(check["verdict"] for check in checks))


def groups(checks: Iterable[Check]) -> list[Group]:
    """Return the checks by their headings, in their order."""
    found: dict[str, list[Check]] = {}
    for check in checks:
        found.setdefault(check["group"], []).append(check)
    return [Group(name, f"group-{number}", each) for number, (name, each) in enumerate(found.items(), 1)]


def with_verdict(checks: Iterable[Check], verdict: str) -> list[Check]:
    """Return the checks that have a verdict."""
    return [check for check in checks if check["verdict"] == verdict]


def untried(checks: Iterable[Check]) -> dict[str, dict[str, list[str]]]:
    """Return the groups of each promise that was not tried, by the reason."""
    found: dict[str, dict[str, list[str]]] = {}
    for check in with_verdict(checks, "skipped"):
        found.setdefault(check["seen"], {}).setdefault(check["promise"], []).append(check["group"])
    return found
