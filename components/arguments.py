"""Checks of components' arguments: of mistakes that would deploy, and admit more than they should or nothing."""

from collections.abc import Callable, Collection
from enum import StrEnum
from typing import Any

import pulumi

from . import rules


def check_choice(argument: str, value: str, choices: type[StrEnum]) -> None:
    """Raise RunError unless the value is one of the choices."""
    if value not in list(choices):
        raise pulumi.RunError(f"{argument} {value!r}: use one of {', '.join(choices)}")


def check(argument: str, value: Any, rule: Callable[[str], str]) -> None:
    """Raise RunError unless the value is a text that passes the rule."""
    if not isinstance(value, str):
        raise pulumi.RunError(f"{argument}: not a plain text, but {type(value).__name__}")
    try:
        rule(value)
    except ValueError as problem:
        raise pulumi.RunError(f"{argument} {value!r}: {problem}") from None


def check_each(argument: str, values: Any, rule: Callable[[str], str]) -> None:
    """Raise RunError unless the values are a list of texts that pass the rule; a single text is no list."""
    if isinstance(values, str) or not isinstance(values, Collection):
        raise pulumi.RunError(f"{argument}: not a list, but {type(values).__name__}")
    for value in values:
        check(argument, value, rule)


def check_some(argument: str, values: Any, rule: Callable[[str], str]) -> None:
    """Raise RunError unless the values are such a list, and not empty: Istio reads an empty list as all."""
    check_each(argument, values, rule)
    if not values:
        raise pulumi.RunError(f"{argument}: empty; name at least one")


def check_port(argument: str, port: Any) -> None:
    """Raise RunError unless a host can serve TLS at this port."""
    if not isinstance(port, int):
        raise pulumi.RunError(f"{argument}: not a plain number, but {type(port).__name__}")
    try:
        rules.https_port(port)
    except ValueError as problem:
        raise pulumi.RunError(f"{argument} {port}: {problem}") from None
