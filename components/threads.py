"""Threads for blocking calls, which no call of the engine keeps busy."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

_THREADS = 8
_Answer = TypeVar("_Answer")


class RunInThread(Protocol):
    """Runs a blocking function without blocking the event loop."""

    def __call__(self, function: Callable[..., _Answer], *args: object) -> Awaitable[_Answer]:
        """Return the result of the function for these arguments."""


class Threads:
    """Eight threads for blocking calls.

    The event loop's default threads cannot run the calls of hooks: all of them may wait for the engine while that waits
    for a hook.
    """

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(_THREADS)

    def run(self, function: Callable[..., _Answer], *args: object) -> Awaitable[_Answer]:
        """Return the result of the function for these arguments."""
        return asyncio.get_running_loop().run_in_executor(self._executor, function, *args)
