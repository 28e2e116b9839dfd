"""Reads a stack's config, and reports every problem in it at once: of single keys, and of keys together."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from settings import agreement, stack_yaml
from settings.problems import ConfigError, line, lines
from settings.section import PROJECT, Entry, is_list, within
from settings.stack import Settings
from settings.values import nearest

_BY_NAME = ("clients", "hosts")
# Keys that are judged against each other: if one is wrong, the rest cannot be judged.
_TOGETHER = (("caValidityDays", "validityDays", "renewBeforeDays"), ("generation", "trustedGenerations"))


def read_config(
    config: Mapping[str, str], is_encrypted: Callable[[str], bool] = lambda _: True, stack_file: str = ""
) -> Settings:
    """Return the settings that a stack's config holds; raise ConfigError with a line for each problem.

    config: the whole config, texts by key; the keys of other projects are ignored
    is_encrypted: whether the config holds a key encrypted; a private key in clear is a problem
    stack_file: text of the file that the config comes from; empty if it is not known
    """
    prefix = f"{PROJECT}:"
    texts = {key.removeprefix(prefix): text for key, text in config.items() if key.startswith(prefix)}
    gateway = {key: texts.pop(key) for key in tuple(texts) if key.startswith("gateway")}
    values = {key: _decode(key, text) for key, text in texts.items()} | {"gateway": gateway}
    in_file = stack_yaml.problems(stack_file)
    problems: list[str] = []
    refused: frozenset[Entry] = frozenset()
    try:
        settings = Settings.model_validate(values, context=is_encrypted)
    except ValidationError as error:
        problems += lines(error, Settings, Settings.keys())
        refused = frozenset(entry for each in error.errors() for entry in _refused(each))
        settings = Settings.model_validate(_without(values, refused), context=is_encrypted)
    problems += [line(path, problem) for path, problem in agreement.conflicts(settings, refused)]
    judged = tuple(line(path, "") for path in in_file)  # one mistake is one line
    problems = [each for each in problems if not each.startswith(judged)]
    problems = [*(line(path, problem) for path, problem in in_file.items()), *problems]
    if problems:
        raise ConfigError(*problems)
    return settings


def _decode(key: str, text: str) -> Any:
    """Return the value of a structured key, which the engine gives as JSON; of any other key, the text."""
    field = Settings.keys().get(key)
    if field is None or not (within(field.annotation) or is_list(field.annotation)):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _refused(error: ErrorDetails) -> Iterator[Entry]:
    """Yield the entries of the config that cannot be judged because of this error."""
    location = [str(step) for step in error["loc"]]
    yield tuple(location[: 2 if location[0] in _BY_NAME else 1])
    key = location[0]
    if error["type"] == "extra_forbidden" and len(location) == 1:
        key = nearest(key, Settings.keys()) or key
        yield (key,)
    yield from ((each,) for together in _TOGETHER if key in together for each in together)


def _without(values: Mapping[str, Any], refused: frozenset[Entry]) -> dict[str, Any]:
    rest = {key: value for key, value in values.items() if (key,) not in refused}
    for section in _BY_NAME:
        if isinstance(rest.get(section), dict):
            rest[section] = {name: value for name, value in rest[section].items() if (section, name) not in refused}
    return rest
