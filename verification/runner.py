"""Judging checks side by side, and printing how they ended in the order in which they stand."""

import http.client
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum

import urllib3
from kubernetes.client import ApiException
from kubernetes.config import ConfigException
from rich.console import Console
from rich.markup import escape

from verification.checks import Check, Failed, Skipped

AT_ONCE = 8
PAUSE_SECONDS = 2

_SHOWN = 120
_FAILURES = (Failed, ApiException, ConfigException, urllib3.exceptions.HTTPError, http.client.HTTPException, OSError)


class Verdict(Enum):
    """How a check ended."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Outcome:
    """How a check ended, and what it saw."""

    verdict: Verdict
    saw: str


def judge(check: Check, timeout: float, waiting: Callable[[str], None], stop: threading.Event) -> Outcome:
    """Run one check until it passes or `timeout` seconds are over; tell `waiting` what it saw before it runs again."""
    end = time.monotonic() + timeout
    while True:
        try:
            return Outcome(Verdict.PASSED, check.run())
        except Skipped as reason:
            return Outcome(Verdict.SKIPPED, str(reason))
        except _FAILURES as failure:
            saw = _brief(failure)
        if time.monotonic() > end:
            return Outcome(Verdict.FAILED, saw)
        waiting(f"{check.group}: {check.promise} (saw: {saw.splitlines()[0][:_SHOWN]})")
        if stop.wait(PAUSE_SECONDS):
            return Outcome(Verdict.FAILED, saw)


def run(console: Console, checks: Sequence[Check], timeout: float) -> Counter[Verdict]:
    """Judge all checks, print a line for each under its group's heading, and count the verdicts."""
    verdicts: Counter[Verdict] = Counter()
    pending: list[Future[Outcome]] = []
    stop, pool = threading.Event(), ThreadPoolExecutor(AT_ONCE)
    with console.status("") as status:

        def progress(waiting: str = "") -> None:
            done = sum(future.done() for future in pending)
            status.update(f"{done} of {len(checks)} done [dim]{escape(waiting)}[/]")

        try:
            for check in checks:
                pending.append(pool.submit(judge, check, timeout, progress, stop))
            group = ""
            for check, future in zip(checks, pending, strict=True):
                progress()
                outcome = future.result()
                if check.group != group:
                    group = check.group
                    console.print(f"[bold]{escape(group)}[/]")
                show(console, check, outcome)
                verdicts[outcome.verdict] += 1
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)
    return verdicts


def show(console: Console, check: Check, outcome: Outcome) -> None:
    """Print how a check ended."""
    promise, saw = escape(check.promise), escape(outcome.saw)
    match outcome.verdict:
        case Verdict.PASSED:
            console.print(f"  [green]PASS[/] {promise}: {saw}")
        case Verdict.SKIPPED:
            console.print(f"  [yellow]SKIP[/] {promise}: {saw}")
        case Verdict.FAILED:
            saw = saw.replace("\n", f"\n{' ' * len('       saw: ')}")
            console.print(f"  [red]FAIL[/] {promise}\n       saw: {saw}\n       look: {escape(check.look)}")


def _brief(failure: Exception) -> str:
    if isinstance(failure, ApiException):
        return f"the API server answered {failure.status or 'nothing'}: {failure.reason}"
    return str(failure).strip() or type(failure).__name__
