"""Ctrl-C, SIGTERM and SIGHUP: the first starts the cleanup, the second ends the process at once."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """A signal asks the process to end; `code` is its exit code."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.code = 128 + number


@contextmanager
def interruptible(report_left: Callable[[], None]) -> Iterator[Callable[[], None]]:
    """Raise Interrupted at the first signal; at the second one, report what is left and end the process at once.

    Yields a function that begins the cleanup: from then on, the next signal ends the process.
    SIGHUP stays ignored under nohup.
    """
    signals = [each for each in _SIGNALS if each != signal.SIGHUP or signal.getsignal(each) != signal.SIG_IGN]

    def end_at_once(number: int, _: FrameType | None) -> None:
        for each in signals:
            signal.signal(each, signal.SIG_DFL)
        try:
            report_left()
        finally:  # also if its terminal is gone
            os._exit(128 + number)

    def begin_cleaning() -> None:
        for each in signals:
            signal.signal(each, end_at_once)

    def interrupt(number: int, _: FrameType | None) -> None:
        begin_cleaning()
        raise Interrupted(number)

    before = {each: signal.signal(each, interrupt) for each in signals}
    try:
        yield begin_cleaning
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
