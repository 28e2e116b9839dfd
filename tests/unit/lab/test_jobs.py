"""Jobs side by side: their order, their end and the estimate."""

import io
import threading
from collections.abc import Callable

import pytest
from rich.console import Console

from lab import jobs
from lab.jobs import Job


def job(name: str, run: Callable[[], None], *after: str, end: Callable[[], None] = lambda: None) -> Job:
    return Job(name, 1, run, end, after)


def run(*given: Job) -> str:
    output = io.StringIO()
    jobs.run(given, Console(file=output, width=200))
    return output.getvalue()


def test_two_jobs_run_at_a_time() -> None:
    meeting = threading.Barrier(2, timeout=10)

    def meet() -> None:
        meeting.wait()

    run(job("one", meet), job("two", meet))


def test_job_waits_for_those_it_names_that_are_to_be_done() -> None:
    done: list[str] = []
    run(
        job("three", lambda: done.append("three"), "two", "absent"),
        job("two", lambda: done.append("two"), "one"),
        job("one", lambda: done.append("one")),
    )
    assert done == ["one", "two", "three"]


@pytest.mark.parametrize("reason", [ValueError("broken"), KeyboardInterrupt()])
def test_failure_ends_what_runs_beside_it_and_starts_nothing(reason: BaseException) -> None:
    ended = threading.Event()
    done: list[str] = []

    def fail() -> None:
        raise reason

    with pytest.raises(type(reason)):
        run(
            job("long", lambda: done.append("long") if ended.wait(10) else None, end=ended.set),
            job("broken", fail),
            job("next", lambda: done.append("next")),
        )
    assert done == ["long"]


def test_each_event_is_one_line_with_an_estimate() -> None:
    lines = run(job("one", lambda: None), job("two", lambda: None, "one")).splitlines()
    assert lines[0].startswith("building one (1 of 2; 0 min so far, about ")
    assert lines[1] == "built one in 0 s"
    assert [line.partition(" (")[0] for line in lines[2:]] == ["building two", "built two in 0 s"]


def test_estimate_goes_by_the_pace_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    given = [Job(name, 6, lambda: None, lambda: None) for name in ("one", "two", "three")]
    assert jobs.minutes_left(given, (), {}, 0) == 9, "two cores for 18 minutes of processor time"
    assert jobs.minutes_left(given, {"one"}, {}, 6) == 12, "a minute for each, so far"
    assert jobs.minutes_left(given, {"one"}, {"two": 3}, 6) == pytest.approx(9 / (9 / 6))
    assert jobs.minutes_left(given, {"one"}, {"two": 60}, 60) > 0, "what runs is never done"
