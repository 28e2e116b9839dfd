"""Lines that report problems of a stack's config, each with the path of its key."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import get_args

from pydantic import SecretStr, ValidationError
from pydantic_core import ErrorDetails

from settings.section import PROJECT, Section, is_by_name, is_list, keys, within
from settings.values import may_be_shown, suggestion

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+")
_MESSAGE_PREFIX = "Value error, "

Location = tuple[str | int, ...]


class ConfigError(Exception):
    """Problems that the user can solve in the stack's config or its clusters, a line each, with the path of a key."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))


def line(path: str, message: str) -> str:
    """Return one line with the path and the message; line breaks of the message become spaces."""
    return " ".join(f"{PROJECT}:{path}: {message}".splitlines())


def lines(error: ValidationError, root: type[Section], known: Iterable[str]) -> Iterator[str]:
    """Yield a line for each problem of a validation of the whole config, `root`, whose top-level keys are `known`."""
    for each in error.errors(include_url=False):
        if each["type"] == "conflict":
            for place, message in each["ctx"]["problems"]:
                yield line(".".join(filter(None, (path(each["loc"]), place))), message)
        else:
            yield line(path(each["loc"]), _message(each, root, known))


def path(location: Location) -> str:
    """Return a location as `pulumi config set --path` takes it."""
    location = location[location[:1] == ("gateway",) :]
    return "".join([*map(str, location[:1]), *(_step(step) for step in location[1:] if step != "[key]")])


def set_command(place: str, value: str = " VALUE", options: str = "") -> str:
    """Return the command that sets the value at a path."""
    if _PLAIN_KEY.fullmatch(place):
        return f"`pulumi config set{options} {place}{value}`"
    return f"`pulumi config set --path{options} '{place}'{value}`"


def _step(step: str | int) -> str:
    if isinstance(step, int):
        return f"[{step}]"
    if not may_be_shown(step):
        return "[…]"
    return f".{step}" if _PLAIN_KEY.fullmatch(step) else f"[{json.dumps(step)}]"


def _message(error: ErrorDetails, root: type[Section], known: Iterable[str]) -> str:
    location, kind, place = error["loc"], error["type"], path(error["loc"])
    if kind == "extra_forbidden":
        return _unknown_key(location, root, known)
    if kind == "missing":
        return f"not set; {set_command(place)} sets it"
    if kind == "not_encrypted":
        return f"not encrypted; {set_command(place, value='', options=' --secret')}"
    annotation = _annotation(location, root)
    if kind in {"model_type", "dict_type", "tuple_type"}:
        expected = "list" if kind == "tuple_type" else "structure"
        return f"not a {expected}; {set_command(_example(place, annotation))}"
    if kind == "string_type" and isinstance(error["input"], bool):
        return f"{str(error['input']).lower()}: YAML takes it for a boolean; put it in quotes"
    message = error["msg"].removeprefix(_MESSAGE_PREFIX)
    return f"{error['input']!r}: {message}" if _is_harmless(error["input"], annotation) else message


def _unknown_key(location: Location, root: type[Section], known: Iterable[str]) -> str:
    key = str(location[-1])
    start = re.match(r"(\w+)[.\[]", key)
    if path(location[-1:]) == path(location) and start and start[1] in keys(root):
        return f"unknown key; values in {start[1]} are set with --path: {set_command(key)}"
    section = within(_annotation(location[:-1], root))
    if section is not None and len(location) > 1 and location[0] != "gateway":
        known = keys(section)
    return f"unknown key; {suggestion(key, known)}"


def _annotation(location: Location, root: type[Section]) -> object:
    """Return the type of the field at a location."""
    annotation: object = root
    for step in location:
        section = within(annotation)
        if step == "[key]" or isinstance(step, int) or section is None:
            return str
        annotation = get_args(annotation)[1] if is_by_name(annotation) else keys(section)[step].annotation
    return annotation


def _example(place: str, annotation: object) -> str:
    """Return a path within a structure or list."""
    section = within(annotation)
    if section is None:
        return f"{place}[0]" if is_list(annotation) else place
    return f"{place}{'.NAME' if is_by_name(annotation) else ''}.{next(iter(keys(section)))}"


def _is_harmless(value: object, annotation: object) -> bool:
    """Return whether a value cannot be a secret, or part of one."""
    if annotation is SecretStr or not isinstance(value, str | int | float):
        return False
    return not isinstance(value, str) or may_be_shown(value)
