"""The reports of a run: JSON on stdout, JUnit XML, and a page. Each is written by itself: none is lost with another."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from settings import ConfigError
from verification.evidence import file
from verification.evidence.page import page
from verification.report import as_json
from verification.runner import described

Document = Callable[[], Mapping[str, Any]]


@dataclass(frozen=True)
class Reports:
    """Where the reports of a run go.

    json: whether stdout gets the JSON document
    junit, html: files; None for no such report
    """

    json: bool = False
    junit: Path | None = None
    html: Path | None = None

    def check_junit(self) -> None:
        """Raise ConfigError if the file for JUnit XML cannot be written."""
        if self.junit:
            try:
                self.junit.open("a").close()
            except OSError as error:
                raise ConfigError(f"--junit: {self.junit}: {error.strerror}") from None

    def write(self, document: Document, junit: Callable[[Path], None]) -> list[str]:
        """Write each report; return a line for each that cannot be written.

        document: returns the JSON document, which the page has, too
        junit: writes JUnit XML to a file
        """
        problems = []
        for option, write in self._writers(document, junit):
            try:
                write()
            except ConfigError as error:
                problems.append(str(error))
            except OSError as error:
                problems.append(f"{option}: {error.strerror}")
            except Exception as error:
                problems.append(f"{option}: {described(error)}")
        return problems

    def _writers(self, document: Document, junit: Callable[[Path], None]) -> Iterator[tuple[str, Callable[[], None]]]:
        if self.json:
            yield "--json", lambda: _print(as_json(document()))
        if path := self.junit:
            yield f"--junit: {path}", lambda: junit(path)
        if name := self.html:
            yield f"--html: {name}", lambda: file.write(name, page(document()))


def _print(text: str) -> None:
    try:
        print(text, flush=True)
    except OSError:
        # Else Python writes the rest when it ends, and fails: https://docs.python.org/3/library/signal.html#note-on-sigpipe
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise
