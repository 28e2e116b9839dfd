"""How long each test took, beside its result."""

from collections.abc import Generator

import pytest

Status = tuple[str, str, object]


class Progress:
    """Adds seconds to the word that a verbose run prints for a test: its own and those of fixtures made for it."""

    def __init__(self) -> None:
        self._prepared: dict[str, float] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> Generator[None, Status, Status]:
        """Add them to a result that is good; a failure stays as other programs expect it."""
        category, letter, word = yield
        if report.when == "setup":
            self._prepared[report.nodeid] = report.duration
        elif report.when == "call" and report.passed and isinstance(word, str):
            word = f"{word} in {self._prepared.get(report.nodeid, 0) + report.duration:.1f} s"
        return category, letter, word
