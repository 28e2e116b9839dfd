"""Verdicts of checks, and their order on the console."""

import io
import json
import threading
from collections.abc import Callable

import pytest
from kubernetes.client import ApiException
from rich.console import Console
from urllib3 import HTTPConnectionPool
from urllib3.exceptions import ReadTimeoutError

from clusters import Refused
from settings import ConfigError
from tests.unit.verification.checking import check_of, raising
from verification import runner
from verification.checks import Check, Failed, Skipped, Unjudged
from verification.report import Report
from verification.runner import Outcome, Verdict

EXPECTED, LOOK = "\n       expected: 200\n", "\n           look: the log\n"


def forbidden(message: str) -> ApiException:
    error = ApiException(403, "Forbidden")
    error.body = json.dumps({"message": message})
    return error


def printed(*checks: Check, timeout: float = 0) -> tuple[dict[Verdict, int], str]:
    output = io.StringIO()
    report = Report(Console(file=output, width=200))
    runner.run(checks, timeout, report)
    return dict(report.totals), output.getvalue()


@pytest.mark.parametrize(
    ("run", "verdict", "lines"),
    [
        (lambda: "200 [OK]", Verdict.PASSED, "  PASS a promise: 200 [OK]\n"),
        (raising(Failed("503")), Verdict.FAILED, f"  FAIL a promise{EXPECTED}            saw: 503{LOOK}"),
        (raising(Skipped("switched off")), Verdict.SKIPPED, "  SKIP a promise: switched off\n"),
        (
            raising(ApiException(500, "broken")),
            Verdict.ERROR,
            "  ???? a promise: could not be judged: the API server answered 500: broken\n",
        ),
        (
            raising(forbidden('user "a" cannot get secrets')),
            Verdict.SKIPPED,
            '  SKIP a promise: the API server answered 403: user "a" cannot get secrets\n',
        ),
        (
            raising(Refused("cluster https://target refuses GET /api: 403 Forbidden")),
            Verdict.SKIPPED,
            "  SKIP a promise: cluster https://target refuses GET /api: 403 Forbidden\n",
        ),
        (
            raising(Unjudged("a Pod does not start")),
            Verdict.ERROR,
            "  ???? a promise: could not be judged: a Pod does not start\n",
        ),
        (
            raising(ReadTimeoutError(HTTPConnectionPool("a"), "/api", "timed out")),
            Verdict.ERROR,
            "  ???? a promise: could not be judged: HTTPConnectionPool(host='a', port=None): timed out\n",
        ),
        (
            raising(ConfigError("the plugin failed")),
            Verdict.ERROR,
            "  ???? a promise: could not be judged: the plugin failed\n",
        ),
        (lambda: "\x1b[2J\u009b1mok\u202e", Verdict.PASSED, "  PASS a promise: \\x1b[2J\\x9b1mok\\u202e\n"),
        (
            raising(Failed("got 200 \x1b]0;a\x07\nmore")),
            Verdict.FAILED,
            f"  FAIL a promise{EXPECTED}            saw: got 200 \\x1b]0;a\\x07\n                 more{LOOK}",
        ),
        (raising(TimeoutError()), Verdict.FAILED, f"  FAIL a promise{EXPECTED}            saw: TimeoutError{LOOK}"),
    ],
)
def test_verdict_is_printed_with_its_result(run: Callable[[], str], verdict: Verdict, lines: str) -> None:
    assert printed(check_of(run)) == ({verdict: 1}, f"host a\n{lines}")


def test_verdicts_are_printed_in_the_order_of_the_checks() -> None:
    later = threading.Event()

    def wait() -> str:
        assert later.wait(10), "checks are judged side by side"
        return "late"

    def release() -> str:
        later.set()
        return "early"

    checks = [
        check_of(wait, "host a", "one"),
        check_of(raising(Failed("x")), "host a", "two"),
        check_of(release, "client b", "three"),
    ]
    verdicts, text = printed(*checks)
    assert [line for line in text.splitlines() if "   " not in line] == [
        *("host a", "  PASS one: late", "  FAIL two", "client b", "  PASS three: early")
    ]
    assert verdicts == {Verdict.PASSED: 2, Verdict.FAILED: 1}


def test_check_is_retried_until_it_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "PAUSE_SECONDS", 0)
    errors = iter([Failed("503"), OSError("reset"), Unjudged("a Pod"), ApiException(503, "busy"), None])
    waited: list[str] = []

    def run() -> str:
        if error := next(errors):
            raise error
        return "200"

    ended = runner.judge(check_of(run), 60, waited.append, threading.Event())
    assert ended == Outcome(Verdict.PASSED, "200")
    seen = ("503", "reset", "a Pod", "the API server answered 503: busy")
    assert waited == [f"host a: a promise (saw: {each})" for each in seen]


@pytest.mark.parametrize(
    ("error", "run_start", "again"),
    [(Unjudged("a Pod"), 1000.0, 3), (Unjudged("a Pod"), 800.0, 1), (Failed("503"), 800.0, 3)],
)
def test_trouble_is_tried_again_until_the_timeout_of_the_run(
    monkeypatch: pytest.MonkeyPatch, error: Exception, run_start: float, again: int
) -> None:
    """Late in a run, a check is still tried again for a quarter of the timeout."""
    clock, tried = [1000.0], list[str]()

    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            assert timeout
            clock[0] += 40
            return False

    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    assert runner.judge(check_of(raising(error)), 100, tried.append, Stop(), run_start).saw == str(error)
    assert len(tried) == again


def test_bug_of_the_verification_is_no_broken_promise() -> None:
    verdicts, text = printed(
        check_of(lambda: str(1 / 0)),
        check_of(raising(ValueError("Bearer token"))),
        check_of(lambda: "200"),
        timeout=600,
    )
    assert verdicts == {Verdict.ERROR: 2, Verdict.PASSED: 1}
    assert "????" in text
    assert "ZeroDivisionError in test_runner.py:" in text
    assert "token" not in text
