"""Checks that a test makes by itself."""

from collections.abc import Callable

from verification.checks import Check


def check_of(run: Callable[[], str], group: str = "host a", promise: str = "a promise") -> Check:
    """Return a check with this function, group and promise."""
    return Check(group, promise, "200", run, "the log")


def raising(error: Exception) -> Callable[[], str]:
    """Return the function of a check that raises this error."""

    def run() -> str:
        raise error

    return run
