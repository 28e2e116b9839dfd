"""The file that a page is written to: whole, or not at all."""

import os
from contextlib import suppress
from pathlib import Path

from settings import ConfigError


def check_writable(path: Path) -> None:
    """Raise ConfigError if the page could not be written; leave a file that is there as it is."""
    try:
        if path.exists() and not path.is_file():
            raise ConfigError(f"--html: {path}: is no file; name one")
        beside = _beside(path)
        beside.touch()
        beside.unlink()
    except OSError as error:
        raise ConfigError(_problem(path, error)) from None


def write(path: Path, text: str) -> None:
    """Write a text beside the file, then put it in its place; raise ConfigError if that fails."""
    beside = _beside(path)
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(path.resolve())
    except OSError as error:
        with suppress(OSError):
            beside.unlink()
        raise ConfigError(_problem(path, error)) from None


def _beside(path: Path) -> Path:
    """Return a file in the same directory: a file can replace only one of its own file system at once."""
    resolved = path.resolve()
    return resolved.with_name(f".{resolved.name}.{os.getpid()}")


def _problem(path: Path, error: OSError) -> str:
    return f"--html: {path}: {error.strerror}; name a file in a directory that you may write to"
