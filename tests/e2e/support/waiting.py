"""Waiting for clusters, and acting side by side."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def eventually(promise: Callable[[], bool], what: str, seconds: float = 240, pause: float = 0.5) -> None:
    """Wait until a promise is true, which Envoy or Kubernetes makes so in its own time.

    what: the sentence that the error has if it does not become true
    seconds: the most to wait, on a machine where two tests run at a time
    pause: seconds between two questions
    """
    end = time.monotonic() + seconds
    while not promise():
        assert time.monotonic() < end, f"{what}: not within {seconds:.0f} s"
        time.sleep(pause)


@contextmanager
def meanwhile(act: Callable[[], object], pause: float = 1) -> Iterator[None]:
    """Act again and again, `pause` seconds apart, beside what is done in the context; what `act` raises, this does."""
    done = threading.Event()

    def keep_acting() -> None:
        while not done.wait(pause):
            act()

    with ThreadPoolExecutor() as pool:
        acting = pool.submit(keep_acting)
        try:
            yield
        finally:
            done.set()
        acting.result()


def together(act: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Act on all items at once, and return the results in their order; raise what the first failure raised."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(act, items))
