"""Judging checks side by side, and telling how they ended in the order in which they stand."""

import http.client
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

import urllib3
from kubernetes.client import ApiException
from kubernetes.config import ConfigException

from verification.checks import Check, Failed, Skipped

AT_ONCE = 16
PAUSE_SECONDS = 2

_FAILURES = (Failed, ApiException, ConfigException, urllib3.exceptions.HTTPError, http.client.HTTPException, OSError)


class Verdict(Enum):
    """How a check ended."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


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
            return Outcome(Verdict.PASSED, check.run(), time.monotonic() - start)
        except Skipped as reason:
            return Outcome(Verdict.SKIPPED, str(reason), time.monotonic() - start)
        except _FAILURES as failure:
            saw = _brief(failure)
        if time.monotonic() - start > timeout:
            return Outcome(Verdict.FAILED, saw, time.monotonic() - start)
        waiting(f"{check.group}: {check.promise} (saw: {saw.splitlines()[0]})")
        if stop.wait(PAUSE_SECONDS):
            return Outcome(Verdict.FAILED, saw, time.monotonic() - start)


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


def _brief(failure: Exception) -> str:
    if isinstance(failure, ApiException):
        return f"the API server answered {failure.status or 'nothing'}: {failure.reason}"
    return str(failure).strip() or type(failure).__name__
