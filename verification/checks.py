"""What a check is: a promise, what is expected of it, and a way to see it kept."""

from collections.abc import Callable
from dataclasses import dataclass

CREATES = "--read-only: it would create Pods or objects of Istio in a cluster"
READS_KEY = "--read-only: it would read the CA's private key"
EXECUTES = "--read-only: it would run a command in the egress gateway's Pod"


class Failed(Exception):  # noqa: N818 - a verdict, not an error of the program
    """What was seen instead of what was promised."""


class Skipped(Exception):  # noqa: N818
    """Why a promise cannot be tried on this stack."""


@dataclass(frozen=True)
class Check:
    """A promise, how to see it kept, and where to look when it is not.

    group: the heading under which it is printed
    expected: what has to be seen
    run: returns what it saw, or raises Failed or Skipped
    host, client: names of those that it is about, in the stack's config
    """

    group: str
    promise: str
    expected: str
    run: Callable[[], str]
    look: str
    host: str = ""
    client: str = ""


def skipped(group: str, promise: str, reason: str, host: str = "", client: str = "") -> Check:
    """Return a check that says why its promise cannot be tried."""

    def run() -> str:
        raise Skipped(reason)

    return Check(group, promise, "", run, "", host, client)
