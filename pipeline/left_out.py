"""The file stacks.toml, which lists the stacks that the pipeline does not deploy."""

import tomllib
from pathlib import Path

from settings import ConfigError

LIST = Path("stacks.toml")

_SHAPE = 'write a line for each stack, STACK = "the reason", below [not-deployed]'


def stacks() -> dict[str, str]:
    """Return the stacks that the file lists, with the reason for each; raise ConfigError if it is invalid."""
    try:
        return parse(LIST.read_text())
    except FileNotFoundError:
        return {}
    except UnicodeDecodeError:
        raise ConfigError(f"{LIST}: not UTF-8") from None


def parse(text: str) -> dict[str, str]:
    """Return the stacks that a text of the file lists, with the reason for each; raise ConfigError if it is invalid."""
    try:
        read = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{LIST}: {error}; {_SHAPE}") from None
    listed = read.pop("not-deployed", {})
    if read or not isinstance(listed, dict) or not all(isinstance(each, str) and each for each in listed.values()):
        raise ConfigError(f"{LIST}: {_SHAPE}; put a name with dots in quotes")
    return listed
