"""The lab's one exception, and the reason that a failed program gives."""

from pathlib import Path


class LabError(Exception):
    """An error that the user can solve; one line with problem, place and remedy."""


def last_line(text: str) -> str:
    """Return the last line of a program's output: the reason of a failure."""
    return (text.strip().splitlines() or ["no message"])[-1]


def failure(program: str | Path, log: Path) -> LabError:
    """Return the error of a program that failed, with the last line of its log as the reason."""
    return LabError(f"{Path(program).name} failed: {last_line(log.read_text())} (log: {log})")
