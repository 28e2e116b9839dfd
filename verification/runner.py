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

from clusters import Refused
from settings import ConfigError
from verification.checks import Check, Failed, Skipped, Unjudged
from verification.pods import refusal_of

AT_ONCE = 16
PAUSE_SECONDS = 2

_FAILURES = (Failed, http.client.HTTPException, OSError)
_TROUBLE = (Unjudged, ConfigError, ApiException, ConfigException, urllib3.exceptions.HTTPError)
"""What says nothing about a promise: such as an API server that does not answer, or a Pod that does not start."""
_LEAST_PATIENCE = 0.25  # of the timeout, for a check that meets trouble late in a run


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


def judge(
    check: Check,
    timeout: float,
    waiting: Callable[[str], None],
    stop: threading.Event,
    run_start: float | None = None,
) -> Outcome:
    """Run one check until it passes or `timeout` seconds are over; pass the result of each attempt to `waiting`.

    run_start: since when trouble has been tried again, which is likely to be the same for all checks of a run; by
        default, since the check began
    """
    start = time.monotonic()
    end_of_trouble = max((run_start or start) + timeout, start + timeout * _LEAST_PATIENCE)
    while True:
        try:
            return Outcome(Verdict.PASSED, printable(check.run()), time.monotonic() - start)
        except Exception as error:
            verdict, saw = _verdict_of(error), described(error)
            may_pass = verdict != Verdict.SKIPPED and isinstance(error, (*_FAILURES, *_TROUBLE))
        end = end_of_trouble if verdict == Verdict.ERROR else start + timeout
        is_final = not may_pass or time.monotonic() > end
        if not is_final:
            waiting(f"{check.group}: {check.promise} (saw: {saw.splitlines()[0]})")
        if is_final or stop.wait(PAUSE_SECONDS):
            return Outcome(verdict, saw, time.monotonic() - start)


def run(checks: Sequence[Check], timeout: float, listener: Listener) -> None:
    """Run all checks and report each outcome; if interrupted, do not wait for those that still run."""
    pending: list[Future[Outcome]] = []
    done: list[Future[Outcome]] = []
    stop, pool, start = threading.Event(), ThreadPoolExecutor(AT_ONCE), time.monotonic()

    def progress(waiting: str = "") -> None:
        listener.waiting(len(done), len(checks), waiting)

    try:
        for check in checks:
            pending.append(pool.submit(judge, check, timeout, progress, stop, start))
            pending[-1].add_done_callback(done.append)
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
    if isinstance(error, (*_FAILURES, *_TROUBLE, Skipped)):
        return printable(str(error).strip()) or type(error).__name__
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {Path(frame.filename).name}:{frame.lineno}"


def printable(text: str) -> str:
    """Return a text with control characters escaped: a service's answer may hold some, and XML allows none."""
    return "".join(
        each if each.isprintable() or each == "\n" else each.encode("unicode_escape").decode() for each in text
    )


def _verdict_of(error: Exception) -> Verdict:
    is_refused = isinstance(error, ApiException) and error.status == HTTPStatus.FORBIDDEN
    if is_refused or isinstance(error, (Skipped, Refused)):
        return Verdict.SKIPPED
    return Verdict.FAILED if isinstance(error, _FAILURES) else Verdict.ERROR
