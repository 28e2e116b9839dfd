"""Calls that wait for a cluster, made in parallel."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from clusters.problems import Problems

_THREADS = 16
_Answer = TypeVar("_Answer")


def parallel(calls: Iterable[Callable[[], _Answer]]) -> list[_Answer]:
    """Make all calls, at most 16 at a time, and return their answers; raise one ConfigError with the problems of all.

    Answers and problems are in the order of the calls.
    """
    problems, answers = Problems(), []
    for outcome in outcomes(calls):
        with problems:
            answers.append(outcome())
    problems.raise_any()
    return answers


def outcomes(calls: Iterable[Callable[[], _Answer]]) -> list[Callable[[], _Answer]]:
    """Make all calls, at most 16 at a time; return, of each in order, what returns its answer or raises its error."""
    with ThreadPoolExecutor(_THREADS) as pool:
        return [future.result for future in [pool.submit(call) for call in calls]]
