"""What components check of their arguments, since they would take a mistake for something else."""

from collections.abc import Callable, Collection
from typing import Any

import pulumi

from . import rules
from .choices import Platform


def check_platform(platform: str) -> None:
    """Raise RunError unless there is such a platform."""
    if platform not in list(Platform):
        raise pulumi.RunError(f"platform {platform!r}: use one of {', '.join(Platform)}")


def check(argument: str, value: Any, rule: Callable[[str], str]) -> None:
    """Raise RunError unless the value is a text that keeps the rule."""
    if not isinstance(value, str):
        raise pulumi.RunError(f"{argument}: not a plain text, but {type(value).__name__}")
    try:
        rule(value)
    except ValueError as problem:
        raise pulumi.RunError(f"{argument} {value!r}: {problem}") from None


def check_each(argument: str, values: Any, rule: Callable[[str], str]) -> None:
    """Raise RunError unless it is a list of texts that keep the rule; a text is a list of its characters to Python."""
    if isinstance(values, str) or not isinstance(values, Collection):
        raise pulumi.RunError(f"{argument}: not a list, but {type(values).__name__}")
    for value in values:
        check(argument, value, rule)


def check_some(argument: str, values: Any, rule: Callable[[str], str]) -> None:
    """Raise RunError unless it is such a list, and not empty: Istio takes none for all."""
    check_each(argument, values, rule)
    if not values:
        raise pulumi.RunError(f"{argument}: empty; name what is let through")


def check_port(argument: str, port: Any) -> None:
    """Raise RunError unless hosts can be called at this port by TLS."""
    if not isinstance(port, int):
        raise pulumi.RunError(f"{argument}: not a plain number, but {type(port).__name__}")
    try:
        rules.https_port(port)
    except ValueError as problem:
        raise pulumi.RunError(f"{argument} {port}: {problem}") from None
