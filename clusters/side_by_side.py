"""Several clusters asked at once."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, cast

from settings import ConfigError

_AT_ONCE = 16
_Answer = TypeVar("_Answer")
_First = TypeVar("_First")
_Second = TypeVar("_Second")


def side_by_side(questions: Iterable[Callable[[], _Answer]]) -> list[_Answer]:
    """Ask all at once; raise one ConfigError with the problems of all."""
    problems: list[str] = []
    answers = []
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        for future in [pool.submit(question) for question in questions]:
            try:
                answers.append(future.result())
            except ConfigError as error:
                problems += str(error).splitlines()
    if problems:
        raise ConfigError(*problems)
    return answers


def both(first: Callable[[], _First], second: Callable[[], _Second]) -> tuple[_First, _Second]:
    """Ask two different things at once; raise one ConfigError with the problems of both."""
    questions: list[Callable[[], object]] = [first, second]
    return cast("tuple[_First, _Second]", tuple(side_by_side(questions)))
