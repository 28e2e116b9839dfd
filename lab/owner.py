"""Whom the machine's one lab belongs to, and who is using it.

Namespaces and cgroups have fixed names, so there is one lab on a machine, whatever caches and checkouts it has. What
says whose it is lies in /run, for all of them: the lab of one checkout and cache is never changed from another.
"""

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console

from lab.errors import LabError
from lab.lock import if_free, only_one
from lab.paths import cache_dir

PLACE = Path("/run/kyma-mtls-lab")
CHECKOUT = Path(__file__).parent.parent
SESSION = "KYMA_MTLS_LAB_SESSION"
"""In the environment of a session and of what it starts: the session's process."""
END_IT = "`python -m lab down --force` ends it, with what was deployed into it"


@dataclass(frozen=True)
class Owner:
    """Whoever boots the lab: the checkout has its kubeconfigs, the cache its programs and state."""

    checkout: str
    cache: str

    def __str__(self) -> str:
        return f"the checkout {self.checkout} with the cache {self.cache}"


def me() -> Owner:
    """Return the owner that this process acts for."""
    return Owner(str(CHECKOUT), str(cache_dir()))


def recorded() -> Owner | None:
    """Return the owner that booted the lab last and did not end it."""
    try:
        return Owner(**json.loads(_record().read_text()))
    except (FileNotFoundError, TypeError, ValueError):  # none, or none that makes sense
        return None


def record() -> None:
    """Make this checkout and cache the owner."""
    partial = _record().with_suffix(".partial")
    partial.write_text(json.dumps(asdict(me())))
    partial.rename(_record())


def forget() -> None:
    """Leave the lab without an owner."""
    _record().unlink(missing_ok=True)


def require() -> None:
    """Raise LabError unless the lab is this checkout's and cache's."""
    owner = recorded()
    if owner is None:
        raise LabError("the lab is not up: run `python -m lab up`")
    if owner != me():
        raise LabError(f"the lab on this machine belongs to {owner}: run this there")


@contextmanager
def change(is_running: Callable[[], bool], console: Console, *, force: bool = False) -> Iterator[None]:
    """Wait until no other command changes the lab, and let none do so in this context.

    Raises LabError if the lab is running and another owner's, or in use by a session that this process is no part of,
    unless it is forced.
    """

    def check_owner() -> None:
        owner = recorded()
        if owner not in (None, me()) and is_running() and not force:
            raise LabError(f"the lab on this machine belongs to {owner}: run `python -m lab down` there; {END_IT}")

    check_owner()
    with alone(console):
        check_owner()
        if (user := _user()) and not force:
            raise LabError(f"the lab is in use by {user}: wait until that has ended; {END_IT}")
        yield


@contextmanager
def session(name: str) -> Iterator[None]:
    """Have the lab to oneself: until the context or the process ends, only what this process starts may change it."""
    with ExitStack() as held:
        with alone(Console()):
            if user := _user():
                raise LabError(f"the lab is in use by {user}: wait until that has ended")
            file = held.enter_context(_session().open("w"))
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(f"{os.getpid()} {name}")
            file.flush()
        os.environ[SESSION] = str(os.getpid())
        held.callback(os.environ.pop, SESSION, None)
        yield


def alone(console: Console) -> AbstractContextManager[None]:
    """Wait until no other command changes the lab, and let none do so in this context."""
    return only_one(PLACE / "lock", "Waiting for another `python -m lab` to finish", console)


def alone_or_not() -> AbstractContextManager[bool]:
    """Let no other command change the lab in this context, which gets whether none does already."""
    return if_free(PLACE / "lock")


def _user() -> str:
    """Return the session of others that uses the lab; empty if there is none."""
    with _session().open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            process, _, name = _session().read_text().partition(" ")
            return "" if process == os.environ.get(SESSION) else f"{name} (process {process})"
    return ""


def _record() -> Path:
    return PLACE / "owner.json"


def _session() -> Path:
    return PLACE / "session"
