"""The text of a stack's file: what the engine's JSON of it no longer shows.

The engine reads `010` as 8, PyYAML reads `off` as false: such a value must be in quotes. And the engine knows of a
structure only whether any key in it is encrypted.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import yaml

from settings.problems import Location, path, set_command
from settings.section import PROJECT
from settings.values import may_be_shown

try:
    from yaml import CSafeLoader as _Base  # the same rules, in C
except ImportError:
    from yaml import SafeLoader as _Base  # type: ignore[assignment]

_PREFIX = f"{PROJECT}:"
_PLAIN_INTEGER = r"-?(0|[1-9][0-9]{0,17})"
# Beside YAML 1.1's own: a date as the engine writes it back into the file.
_DATE = r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt \t]+[0-9].*)?"
_NUMBER = (
    r"[-+]?([0-9][0-9_]*(\.[0-9_]*)?|\.[0-9][0-9_]*)([eE][-+]?[0-9]+)?"
    r"|[-+]?0(x[0-9a-fA-F_]+|b[01_]+|o[0-7_]+)"
    r"|[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?"
    r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
)
_AMBIGUOUS = {
    "a date": (re.compile(_DATE), ""),
    "a number": (re.compile(_NUMBER), ", or write a decimal number"),
    "a boolean": (re.compile(r"yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF"), ", or write true or false"),
}
_PRIVATE_KEY = "PRIVATE KEY-----"


class _Loader(_Base):
    """Takes for null, a boolean or a number only what every reader of YAML does; anything else is a text."""

    yaml_implicit_resolvers: dict[str | None, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own


for _tag, _pattern, _starts in (
    ("null", "~|null|Null|NULL|", ("~", "n", "N", "")),
    ("bool", "true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", _PLAIN_INTEGER, "-0123456789"),
    ("merge", "<<", "<"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"(?:{_pattern})$"), list(_starts))


def load(text: str) -> dict[str, Any]:
    """Return the project's config in a stack's file, an ambiguous value as its text; raise ValueError for no such file.

    An encrypted value is {"secure": CIPHERTEXT}.
    """
    try:
        config = (yaml.load(text, _Loader) or {}).get("config") or {}  # noqa: S506 - a loader of plain values
        found = {key.removeprefix(_PREFIX): value for key, value in config.items() if key.startswith(_PREFIX)}
        json.dumps(found)  # the engine has no other values: no dates, and none within themselves
    except (yaml.YAMLError, AttributeError, TypeError, ValueError, RecursionError):
        raise ValueError("not the YAML file of a stack") from None
    return found


def problems(text: str) -> dict[str, str]:
    """Return the ambiguous values and the private keys in clear in a stack's file: a message by the path of each."""
    try:
        return {path(place): message for place, message in _config(yaml.compose(text, _Loader))}
    except (yaml.YAMLError, RecursionError):
        return {}  # which the engine reports


def _config(root: yaml.Node | None) -> Iterator[tuple[Location, str]]:
    for name, section in _entries(root):
        for key, node in _entries(section) if name.value == "config" else ():
            if key.value.startswith(_PREFIX):
                yield from _within((key.value.removeprefix(_PREFIX),), node)


def _within(place: Location, node: yaml.Node) -> Iterator[tuple[Location, str]]:
    if isinstance(node, yaml.ScalarNode):
        yield from ((place, message) for message in _of_scalar(place, node))
    elif isinstance(node, yaml.SequenceNode):
        for index, each in enumerate(node.value):
            yield from _within((*place, index), each)
    for key, value in _entries(node):
        inner = (*place, key.value)
        yield from ((inner, f"the name {message}") for message in _ambiguity(key))
        yield from _within(inner, value)


def _entries(node: yaml.Node | None) -> list[tuple[yaml.ScalarNode, yaml.Node]]:
    found = node.value if isinstance(node, yaml.MappingNode) else []
    return [(key, value) for key, value in found if isinstance(key, yaml.ScalarNode)]


def _of_scalar(place: Location, node: yaml.ScalarNode) -> Iterator[str]:
    if _PRIVATE_KEY in node.value:
        yield f"not encrypted; {set_command(path(place), value='', options=' --secret')}"
    yield from _ambiguity(node)


def _ambiguity(node: yaml.ScalarNode) -> Iterator[str]:
    if node.style in {"'", '"', "|", ">"} or re.fullmatch(_PLAIN_INTEGER, node.value):
        return
    for kind, (pattern, otherwise) in _AMBIGUOUS.items():
        if pattern.fullmatch(node.value) and may_be_shown(node.value):
            yield f"{node.value}: YAML takes it for {kind}; put it in quotes{otherwise}"
            return
