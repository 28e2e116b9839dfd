"""Runs of checks in parallel, with their outcomes reported in the order of the checks."""

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
    """The verdict on a promise."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    ERROR = "error"  # it is not known whether the promise is kept


@dataclass(frozen=True)
class Outcome:
    """The verdict of a check, its result or reason, and its duration in seconds."""

    verdict: Verdict
    saw: str
    seconds: float = field(default=0, compare=False)


class Listener(Protocol):
    """Receives the progress of a run."""

    def waiting(self, done: int, total: int, retried: str) -> None:
        """Receive the number of finished checks, and the last result of one that is tried again."""

    def judged(self, check: Check, outcome: Outcome) -> None:
        """Receive the outcome of a check."""


def judge(check: Check, timeout: float, waiting: Callable[[str], None], stop: threading.Event) -> Outcome:
    """Run one check until it passes or `timeout` seconds are over; pass the result of each attempt to `waiting`."""
    start = time.monotonic()
    while True:
        try:
            return Outcome(Verdict.PASSED, printable(check.run()), time.monotonic() - start)
        except Exception as error:
            verdict, saw = _verdict_of(error), described(error)
            may_pass = verdict != Verdict.SKIPPED and isinstance(error, (*_FAILURES, ConfigError))
        is_final = not may_pass or time.monotonic() - start > timeout
        if not is_final:
            waiting(f"{check.group}: {check.promise} (saw: {saw.splitlines()[0]})")
        if is_final or stop.wait(PAUSE_SECONDS):
            return Outcome(verdict, saw, time.monotonic() - start)


def run(checks: Sequence[Check], timeout: float, listener: Listener) -> None:
    """Run all checks and report each outcome; if interrupted, do not wait for those that still run."""
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


def described(error: Exception) -> str:
    """Return an error's message; of an unexpected error only type and place, since its message may hold a token."""
    if isinstance(error, ApiException):
        refusal = f"the API server answered {error.status or 'nothing'}: {refusal_of(error)}"
        return printable(refusal)
    if isinstance(error, (*_FAILURES, Skipped, ConfigError)):
        return printable(str(error).strip()) or type(error).__name__
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {Path(frame.filename).name}:{frame.lineno}"


def printable(text: str) -> str:
    """Return a text with control characters escaped: a service's answer may hold some, and XML allows none."""
    return "".join(
        each if each.isprintable() or each == "\n" else each.encode("unicode_escape").decode() for each in text
    )


def _verdict_of(error: Exception) -> Verdict:
    if isinstance(error, Skipped) or (isinstance(error, ApiException) and error.status == HTTPStatus.FORBIDDEN):
        return Verdict.SKIPPED
    return Verdict.FAILED if isinstance(error, _FAILURES) else Verdict.ERROR
