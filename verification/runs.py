"""Runs of the verification, told apart by random ids; on one machine, a lock shows whether a run is over.

A run's lock is a file that its process keeps locked. The kernel releases the lock with the process, however that ends.
Only who finds the file, and in it the id of the boot of its own kernel, can judge: not a run in another container or
on another machine, whatever its host name, nor one that shares the folder with another machine.
"""

import fcntl
import os
import re
import secrets
import stat
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TextIO

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_ID = re.compile(r"[0-9a-f]{16}")
_KEPT_SECONDS = 24 * 3600
_held: list[TextIO] = []  # until the process ends


def begin() -> str:
    """Return the id of a new run, and hold its lock until this process ends.

    Without a place for a lock, as on a read-only disk, no other run knows when this one is over.
    """
    run = secrets.token_hex(8)
    with suppress(OSError):
        folder = _folder()
        _clear(folder)
        file = (folder / run).open("x")
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        file.write(_BOOT.read_text())
        file.flush()
        _held.append(file)
    return run


def is_over(run: str) -> bool:
    """Return whether a run began on this machine and its process has ended; False if that is not known."""
    if not _ID.fullmatch(run):
        return False
    try:
        with (_folder() / run).open() as file:
            return _is_free(file) and file.read() == _BOOT.read_text()
    except OSError:
        return False


def _folder() -> Path:
    """Return the folder of this user's locks; raise OSError if another user can write to it."""
    folder = Path(tempfile.gettempdir()) / f"kyma-mtls-verification-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise PermissionError(f"{folder} is not this user's own")
    return folder


def _clear(folder: Path) -> None:
    """Remove the files of runs that have long been over."""
    for path in folder.iterdir():
        with suppress(OSError), path.open() as file:
            if time.time() - path.stat().st_mtime > _KEPT_SECONDS and _is_free(file):
                path.unlink()


def _is_free(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
