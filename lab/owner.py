"""The lab owner: the checkout and the cache that booted the machine's one lab; and who uses that lab now.

Namespaces and cgroups have fixed names, so a machine has one lab for all its checkouts and caches. They share a folder
in /run that names the lab owner; only commands of the lab owner change a running lab.
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
"""The environment variable with the process id of the session; the session's child processes inherit it."""
END_IT = "`python -m lab down --force` ends the lab and loses all objects deployed into it"


@dataclass(frozen=True)
class Owner:
    """A lab owner: the checkout that gets the kubeconfigs, and the cache with the programs and the state."""

    checkout: str
    cache: str

    def __str__(self) -> str:
        return f"the checkout {self.checkout} with the cache {self.cache}"


def me() -> Owner:
    """Return this process's checkout and cache."""
    return Owner(str(CHECKOUT), str(cache_dir()))


def recorded() -> Owner | None:
    """Return the lab owner: the one that booted the lab last and did not end it."""
    try:
        return Owner(**json.loads(_record().read_text()))
    except (FileNotFoundError, TypeError, ValueError):  # no record, or one that cannot be read
        return None


def record() -> None:
    """Make this checkout and cache the lab owner."""
    partial = _record().with_suffix(".partial")
    partial.write_text(json.dumps(asdict(me())))
    partial.rename(_record())


def forget() -> None:
    """Leave the machine without a lab owner."""
    _record().unlink(missing_ok=True)


def require() -> None:
    """Raise LabError unless this checkout and cache are the lab owner."""
    owner = recorded()
    if owner is None:
        raise LabError("the lab is not up: run `python -m lab up`")
    if owner != me():
        raise LabError(f"the lab on this machine belongs to {owner}: run this there")


@contextmanager
def change(is_running: Callable[[], bool], console: Console, *, force: bool = False) -> Iterator[None]:
    """Wait until no other command changes the lab, and let none do so in this context.

    Raises LabError if the lab runs and this checkout and cache are not its owner, or if a session uses it that this
    process is no part of; not if it is forced.
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
    """Reserve the lab: until the context or the process ends, only this process and those it starts may change it."""
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
    """Take the lock of `alone` if it is free; yield whether it was."""
    return if_free(PLACE / "lock")


def _user() -> str:
    """Return the session that uses the lab and that this process is no part of; empty if there is none."""
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
