"""Runs of the Pulumi engine, with secrets masked in their output."""

import itertools
import json
import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import events, policies
from pipeline.redaction import in_safe_parts, redacted
from settings import ConfigError

_MISSING = "no `pulumi` on PATH"
_INTERRUPTION = re.compile(r"kyma-mtls:\S+: (?:changes from .* which interrupts .*|cannot change .*)")
_LEFT_ITS_PLAN = re.compile(r"violates plan|not allowed by the plan|expected resource operations for")


@dataclass(frozen=True)
class Run:
    """A run of the engine.

    output: its printed text
    errors: its error messages, and those of mandatory policies; none if it succeeded
    warnings: its warnings, and the messages of advisory policies
    """

    exit_code: int
    output: str
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def interruptions(self) -> list[str]:
        """The messages by which the program refuses changes that would interrupt the deployed stack."""
        return list(dict.fromkeys(_INTERRUPTION.findall("\n".join(self.errors))))

    @property
    def left_its_plan(self) -> bool:
        """Whether it failed because its operations differ from its plan."""
        return any(_LEFT_ITS_PLAN.search(error) for error in self.errors)


def preview(stack: str, plan: Path, *, refresh: bool = False) -> Run:
    """Preview an update, judge it by the policies, and save its plan.

    refresh: compare with what the clusters have, in the place of what the state says of them
    """
    refreshed = ["--refresh"] if refresh else []
    return _run("preview", "--stack", stack, "--diff", "--save-plan", str(plan), *refreshed, *policies.options(stack))


def up(stack: str, plan: Path, **environment: str) -> Run:
    """Update a stack by exactly this plan, and judge it by the policies: each resource before the engine touches it.

    environment: further variables of the program
    """
    arguments = ("--stack", stack, "--yes", "--skip-preview", "--plan", str(plan), *policies.options(stack))
    return _run("up", *arguments, **environment)


def last_commit(stack: str) -> str | None:
    """Return the commit from which the stack was changed last; None if it never was, or outside a repository."""
    with _expecting_its_form("stack history"):
        updates: list[dict[str, Any]] = _read("history", "--stack", stack, "--json", "--page-size", "1")
        return (updates[0].get("environment") or {}).get("git.head") if updates else None


def updates(stack: str) -> Iterator[dict[str, Any]]:
    """Yield the updates of a stack, the last one first, with their configs, **secrets in clear**.

    Each has its kind, result, startTime, environment and config, as the engine names them.
    """
    for page in itertools.count(1):
        with _expecting_its_form("stack history"):
            listed = _read("history", "--stack", stack, "--json", "--show-secrets", "--page", str(page))
            found = [_update(each) for each in listed]
        if not found:
            return
        yield from found


def _update(listed: dict[str, Any]) -> dict[str, Any]:
    found = {key: listed[key] for key in ("kind", "result", "startTime")}
    return found | {key: dict(listed.get(key) or {}) for key in ("environment", "config")}


def config(stack: str) -> dict[str, dict[str, Any]]:
    """Return the config of a stack, **secrets in clear**: `value`, `objectValue` and `secret` of each key."""
    with _expecting_its_form("config"):
        return dict(_printed("config", "--stack", stack, "--json", "--show-secrets"))


def deployed_inputs(stack: str) -> dict[str, dict[str, Any]]:
    """Return the inputs of each resource in the stack's state, secret values encrypted, by the resource's URN."""
    with _expecting_its_form("stack export"):
        resources = (_read("export", "--stack", stack).get("deployment") or {}).get("resources") or []
        return {each["urn"]: each.get("inputs") or {} for each in resources if not each.get("delete")}


@contextmanager
def _expecting_its_form(command: str) -> Iterator[None]:
    """Raise ConfigError if the answer of a command of `pulumi` does not have the form that the caller reads."""
    try:
        yield
    except (ValueError, AttributeError, KeyError, TypeError):
        raise ConfigError(
            f"`pulumi {command}` printed something else than the pipeline expects; run it by hand to see what"
        ) from None


def _read(*arguments: str) -> Any:
    """Return the JSON that a command of `pulumi stack` prints; raise ConfigError if it fails."""
    return _printed("stack", *arguments)


def _printed(*arguments: str) -> Any:
    """Return the JSON that a command of the engine prints; raise ConfigError if it fails."""
    try:
        command = ["pulumi", *arguments, "--non-interactive"]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise ConfigError(_MISSING) from None
    if done.returncode:
        raise ConfigError(redacted(done.stderr).strip() or f"`pulumi {arguments[0]}` failed")
    return json.loads(done.stdout)


def _run(*arguments: str, **environment: str) -> Run:
    shown = ("--non-interactive", "--color", "never", "--suppress-permalink=true")
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "events")
        command = ["pulumi", *arguments, *shown, "--event-log", str(log)]
        try:
            exit_code, output = _run_and_print(command, environment)
        except FileNotFoundError:
            raise ConfigError(_MISSING) from None
        said = events.read(log)
    warnings = tuple(redacted(each) for each in said.warnings)
    if not exit_code:
        return Run(0, output, warnings=warnings)
    errors = [*said.errors] or [line for line in output.splitlines() if line.startswith("error:")]
    errors += _end(arguments[0], exit_code, is_cut=said.is_cut)
    return Run(exit_code, output, tuple(dict.fromkeys(redacted(each).strip() for each in errors)), warnings)


def _end(command: str, exit_code: int, *, is_cut: bool) -> list[str]:
    """Return how a run ended if not by itself."""
    if exit_code < 0:
        return [f"`pulumi {command}` was ended by signal {-exit_code}, and may have more to say than its last messages"]
    return [f"the event log of `pulumi {command}` is cut off: messages may be missing"] if is_cut else []


def _run_and_print(command: Sequence[str], variables: Mapping[str, str]) -> tuple[int, str]:
    """Run a command, print its output with secrets masked, and return its exit code and this output."""
    printed: list[str] = []
    environment = os.environ | variables | {"PULUMI_DEBUG_COMMANDS": "true"}  # the engine has --event-log only with it
    options: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stderr": subprocess.STDOUT, "text": True}
    options["start_new_session"] = True  # a signal to the process group does not reach it a second time
    with (
        _interrupts() as started,
        subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, **options) as running,
    ):
        started.append(running)
        for part in in_safe_parts(running.stdout or ()):
            print(part, end="", flush=True)
            printed.append(part)
    return running.returncode, "".join(printed)


@contextmanager
def _interrupts() -> Iterator[list[subprocess.Popen[str]]]:
    """Forward the first SIGINT or SIGTERM to the engine as SIGINT, by which it ends in order.

    Later signals are not forwarded: at a second SIGINT, the engine would end at once.

    Yields a list; the caller appends the engine's process to it.
    """
    started: list[subprocess.Popen[str]] = []

    def interrupt(*_: object) -> None:
        if started:
            started.pop().send_signal(signal.SIGINT)

    handlers = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield started
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
