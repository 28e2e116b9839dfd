"""Calls in parallel, and the problems of several checks."""

import threading

import pytest

from clusters import parallel
from clusters.problems import Problems
from settings import ConfigError


def failing(*problems: str) -> int:
    """Raise ConfigError with these problems."""
    raise ConfigError(*problems)


def test_parallel_calls_run_at_the_same_time_and_answer_in_order() -> None:
    both_run = threading.Barrier(2, timeout=60)
    assert parallel([lambda: both_run.wait() * 0 + 1, lambda: both_run.wait() * 0 + 2]) == [1, 2]


def test_parallel_calls_report_the_problems_of_all_in_order() -> None:
    with pytest.raises(ConfigError, match=r"^a: one\na: two\nb: three$"):
        parallel([lambda: failing("a: one", "a: two"), lambda: 0, lambda: failing("b: three")])


def test_parallel_calls_let_other_errors_through() -> None:
    def broken() -> int:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        parallel([lambda: failing("a: one"), broken])


def test_problems_end_a_block_and_the_next_one_runs() -> None:
    problems, passed = Problems(), []
    with problems:
        with problems:
            failing("inner")
        passed.append("outer block")
        failing("outer")
        passed.append("never")
    with problems:
        passed.append("next block")
    assert passed == ["outer block", "next block"]
    with pytest.raises(ConfigError, match=r"^inner\nouter$"):
        problems.raise_any()


def test_problems_without_a_line_raise_nothing() -> None:
    Problems().raise_any()
