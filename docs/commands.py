"""Check the commands, config keys and files that pages name."""

import argparse
import importlib
import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from settings.reference import PROJECT_DIRECTORY, keys

_START = r"(?:^|&&|\|\||[;|(]|\bexec|\b[A-Z_]+=\S*)\s*(?:[\w./]*/)?"
_MAKE = re.compile(rf"{_START}make((?: [\w./=-]+)+)")
_MODULE = re.compile(rf"{_START}python3? -m ([\w.]+)([^|&;()\"]*)")
_CONFIG = re.compile(r"\bpulumi config (?:set|get|rm)((?: --?\w+)*) '?([\w.:\[\]-]+)")
_PATH = re.compile(r"[\w.*-]+(?:/[\w.*-]+)*/?")
_PLACEHOLDER = re.compile(r"(?<![A-Za-z])[A-Z]{2,}(?![A-Za-z])")


def of_command(command: str, makefile: str, files: Sequence[str], *, has_keys: bool = True) -> Iterator[str]:
    """Yield a problem for each make target, module, option, config key and file of a command that does not exist.

    files: of the repository, as PATH
    has_keys: whether its config keys are those of this project
    """
    for match in _MAKE.finditer(command):
        targets = set(" ".join(re.findall(r"^([\w./ -]+):(?!=)", makefile, re.M)).split())
        unknown = [word for word in match[1].split() if "=" not in word and word not in targets]
        yield from (f"make has no target {word}" for word in unknown)
    for match in _MODULE.finditer(command):
        yield from _of_module(match[1], match[2].split())
    for match in _CONFIG.finditer(command):
        if has_keys and not _is_key(match[2]):
            yield f"the config has no key {match[2]}"
    for word in command.split():
        yield from of_path(word.strip("\"'(),;"), files)


def of_path(word: str, files: Sequence[str]) -> Iterator[str]:
    """Yield a problem if a word is the path of a file or folder of the repository that does not exist.

    A path begins with a folder of the repository; the name of a Python file may stand alone.
    """
    if not _PATH.fullmatch(word) or _PLACEHOLDER.search(word) or ".venv" in word.split("/"):
        return
    is_python = word.endswith(".py")
    if "/" not in word and not is_python:
        return
    if not is_python and not any(file.startswith(word.partition("/")[0] + "/") for file in files):
        return
    pattern = word.rstrip("/")
    if not any(fnmatch(file, each) for file in files for each in (pattern, f"{pattern}/*", f"*/{pattern}")):
        yield f"there is no file {word}"


def _of_module(name: str, words: Sequence[str]) -> Iterator[str]:
    try:
        spec = find_spec(name)
    except ModuleNotFoundError:
        spec = None
    if spec is None:
        yield f"there is no module {name}"
    elif _is_ours(spec.origin):
        module = importlib.import_module(f"{name}.__main__" if spec.submodule_search_locations else name)
        yield from _of_arguments(f"python -m {name}", getattr(module, "_parser", argparse.ArgumentParser)(), words)


def _is_ours(origin: str | None) -> bool:
    """Return whether a module's file is of the repository, not of its virtual environments."""
    path = Path(origin or "")
    return path.is_relative_to(PROJECT_DIRECTORY) and not {".venv", ".venv-dev"} & set(path.parts)


def _of_arguments(command: str, parser: argparse.ArgumentParser, words: Sequence[str]) -> Iterator[str]:
    for word in words:
        commands = next((each for each in parser._actions if isinstance(each, argparse._SubParsersAction)), None)
        if word.startswith("-"):
            if word.partition("=")[0] not in parser._option_string_actions:
                yield f"{command} has no option {word}"
        elif commands and word in commands.choices:
            command, parser = f"{command} {word}", commands.choices[word]
        elif commands and not _PLACEHOLDER.search(word):
            yield f"{command} has no command {word}"
            return


def _is_key(key: str) -> bool:
    """Return whether the models have a key; names and places in lists are arbitrary."""
    parts = re.sub(r"\[\d+\]", "", key.removeprefix("kyma-mtls:")).split(".")
    return any(
        all(known.isupper() or known == part for known, part in zip(path, parts, strict=False))
        for path in _paths()
        if len(parts) <= len(path)
    )


@cache
def _paths() -> list[list[str]]:
    return [key.split(".") for key in keys()]
