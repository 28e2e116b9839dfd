"""A check: a promise, the expected result, and the function that tries it."""

from collections.abc import Callable
from dataclasses import dataclass

CREATES = "--read-only: the check would create Pods or objects of Istio in a cluster"
READS_KEY = "--read-only: the check would read the CA's private key"


class Failed(Exception):  # noqa: N818 - a verdict, not an error of the program
    """The promise is broken; the message says what the check saw instead."""


class Denied(Failed):
    """An AuthorizationPolicy refused a request that the stack admits."""


class Skipped(Exception):  # noqa: N818
    """The promise cannot be tried on this stack; the message says why."""


class Unjudged(Exception):  # noqa: N818
    """It is not known yet whether the promise is kept, for trouble that may pass; the message names the trouble."""


@dataclass(frozen=True)
class Check:
    """A promise, the function that tries it, and where to look if it is broken.

    group: the heading under which its verdict is printed
    expected: the result that keeps the promise
    run: returns the result, or raises Failed, Skipped or Unjudged
    look: commands that show the cause
    host, client: the names in the stack's config of the host and the client that it tries; empty for none
    """

    group: str
    promise: str
    expected: str
    run: Callable[[], str]
    look: str
    host: str = ""
    client: str = ""


def skipped(group: str, promise: str, reason: str, host: str = "", client: str = "") -> Check:
    """Return a check that raises Skipped with this reason."""

    def run() -> str:
        raise Skipped(reason)

    return Check(group, promise, "", run, "", host, client)
