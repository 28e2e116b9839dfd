"""Judging checks side by side, and telling how they ended in the order in which they stand."""

import http.client
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import Enum
from http import HTTPStatus
from pathlib import Path
from typing import Protocol

import urllib3
from kubernetes.client import ApiException
from kubernetes.config import ConfigException

from settings import ConfigError
from verification.checks import Check, Failed, Skipped
from verification.pods import refusal_of

AT_ONCE = 16
PAUSE_SECONDS = 2

_FAILURES = (Failed, ApiException, ConfigException, urllib3.exceptions.HTTPError, http.client.HTTPException, OSError)


class Verdict(Enum):
    """How a check ended."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    ERROR = "error"  # nobody knows whether the promise is kept


@dataclass(frozen=True)
class Outcome:
    """How a check ended, what it saw, and how long it took."""

    verdict: Verdict
    saw: str
    seconds: float = field(default=0, compare=False)


class Listener(Protocol):
    """Hears how the checks go on."""

    def waiting(self, done: int, total: int, what: str) -> None:
        """Hear how many are done, and what one saw that runs again."""

    def judged(self, check: Check, outcome: Outcome) -> None:
        """Hear how one ended."""


def judge(check: Check, timeout: float, waiting: Callable[[str], None], stop: threading.Event) -> Outcome:
    """Run one check until it passes or `timeout` seconds are over; tell `waiting` what it saw before it runs again."""
    start = time.monotonic()
    while True:
        try:
            return Outcome(Verdict.PASSED, printable(check.run()), time.monotonic() - start)
        except Exception as error:
            verdict, saw = _verdict_of(error), told(error)
            may_pass = verdict != Verdict.SKIPPED and isinstance(error, (*_FAILURES, ConfigError))
        is_final = not may_pass or time.monotonic() - start > timeout
        if not is_final:
            waiting(f"{check.group}: {check.promise} (saw: {saw.splitlines()[0]})")
        if is_final or stop.wait(PAUSE_SECONDS):
            return Outcome(verdict, saw, time.monotonic() - start)


def run(checks: Sequence[Check], timeout: float, listener: Listener) -> None:
    """Judge all checks, and tell how each ended. Whatever interrupts this does not wait for those that still run."""
    pending: list[Future[Outcome]] = []
    stop, pool = threading.Event(), ThreadPoolExecutor(AT_ONCE)

    def progress(waiting: str = "") -> None:
        listener.waiting(sum(future.done() for future in pending), len(checks), waiting)

    try:
        for check in checks:
            pending.append(pool.submit(judge, check, timeout, progress, stop))
        for check, future in zip(checks, pending, strict=True):
            progress()
            listener.judged(check, future.result())
    finally:
        stop.set()
        pool.shutdown(wait=False, cancel_futures=True)


def told(error: Exception) -> str:
    """Return what an error says; of one that nobody expected only what and where, since its text may hold a token."""
    if isinstance(error, ApiException):
        refusal = f"the API server answered {error.status or 'nothing'}: {refusal_of(error)}"
        return printable(refusal)
    if isinstance(error, (*_FAILURES, Skipped, ConfigError)):
        return printable(str(error).strip()) or type(error).__name__
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {Path(place.filename).name}:{place.lineno}"


def printable(text: str) -> str:
    """Return a text without what a terminal obeys, or XML has no place for: a service may answer anything."""
    return "".join(
        each if each.isprintable() or each == "\n" else each.encode("unicode_escape").decode() for each in text
    )


def _verdict_of(error: Exception) -> Verdict:
    if isinstance(error, Skipped) or (isinstance(error, ApiException) and error.status == HTTPStatus.FORBIDDEN):
        return Verdict.SKIPPED
    return Verdict.FAILED if isinstance(error, _FAILURES) else Verdict.ERROR
