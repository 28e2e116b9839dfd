"""Jobs side by side: their order, their end and the estimate."""

import io
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from rich.console import Console

from lab import jobs
from lab.errors import LabError
from lab.jobs import Job


def job(name: str, run: Callable[[], str | None], *after: str, end: Callable[[], None] = lambda: None) -> Job:
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


def test_jobs_that_cannot_be_ended_at_first_are_all_ended_later(monkeypatch: pytest.MonkeyPatch) -> None:
    both_run = threading.Barrier(3, timeout=10)
    ended = {name: threading.Event() for name in ("one", "two")}
    attempts = Counter[str]()

    def stubborn(name: str) -> Job:
        def work() -> None:
            both_run.wait()
            assert ended[name].wait(10)

        def end() -> None:
            attempts[name] += 1
            if attempts[name] <= 2:
                raise LabError("process 7 does not end")
            ended[name].set()

        return job(name, work, end=end)

    def interrupt(*_: object, **__: object) -> None:
        both_run.wait()
        raise KeyboardInterrupt

    monkeypatch.setattr(jobs, "PAUSE", 0)
    monkeypatch.setattr(jobs, "wait", interrupt)
    output = io.StringIO()
    with pytest.raises(KeyboardInterrupt):
        jobs.run([stubborn("one"), stubborn("two")], Console(file=output, width=200))
    assert min(attempts.values()) >= 3
    for name in ended:
        assert output.getvalue().count(f"{name} does not end yet: process 7 does not end") == 1


def test_running_jobs_are_ended_before_anything_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()

    def interrupt_again(_: float) -> None:
        assert ended.is_set()
        raise KeyboardInterrupt

    def fail() -> None:
        begun.wait(10)
        raise ValueError("broken")

    def work() -> None:
        begun.set()
        ended.wait(10)

    begun = threading.Event()
    monkeypatch.setattr("lab.jobs.time.sleep", interrupt_again)
    with pytest.raises((KeyboardInterrupt, ValueError)):
        run(job("long", work, end=ended.set), job("broken", fail))
    assert ended.is_set()


def test_job_is_ended_if_the_user_interrupts_right_after_its_start(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()
    submit = ThreadPoolExecutor.submit

    def submit_and_interrupt(*arguments: Any) -> None:
        submit(*arguments)
        raise KeyboardInterrupt

    def work() -> None:
        was_ended.append(ended.wait(10))

    monkeypatch.setattr(ThreadPoolExecutor, "submit", submit_and_interrupt)
    was_ended: list[bool] = []
    with pytest.raises(KeyboardInterrupt):
        run(job("long", work, end=ended.set))
    assert was_ended in ([], [True]), "it should not start, or be ended"


def test_job_that_is_left_undone_gives_the_reason() -> None:
    assert run(job("images", lambda: "left to `up`")).splitlines()[1:] == ["images: left to `up`"]


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
