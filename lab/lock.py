"""Locks that let one process at a time into a context."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console


@contextmanager
def only_one(file: Path, waiting: str, console: Console) -> Iterator[None]:
    """Hold the lock; print `waiting` while another process has it. It is released when the process exits."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            console.print(waiting)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def if_free(file: Path) -> Iterator[bool]:
    """Hold the lock, unless another process has it: yields whether it is held."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
