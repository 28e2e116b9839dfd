"""`pulumi up` killed at a chosen event of the engine, which its event log has as it happens.

The file of `--event-log` gets each event as the engine has it (startEventLogger in Pulumi's backend/display/display.go,
https://github.com/pulumi/pulumi). The CLI knows the option if PULUMI_DEBUG_COMMANDS is set.
"""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.support.project import Project
from tests.e2e.support.stack import Stack, without_secrets
from tests.e2e.support.waiting import eventually

State = Mapping[tuple[str, str], Any]
"""A stack's resources, by URN and id; secrets aside, which no two updates encrypt alike."""

_KEYS = ("inputs", "provider", "delete", "pendingReplacement")
"""What of a resource shows whether an update has dealt with it.

`provider` changes with the cluster, and `pendingReplacement` says that it was deleted.
"""

_POLL_SECONDS = 0.005


@dataclass(frozen=True)
class Moment:
    """The moment when `pulumi up` has done a number of operations of one kind on objects of clusters.

    operation: create, update, delete; for a replacement delete-replaced and then create-replacement
    alone: kill the engine alone, as the kernel does for want of memory: what its plugins have begun in a cluster, they
        end there, and no state knows of it. Else everything ends at once, as where a machine is taken away.
    """

    operation: str
    count: int
    alone: bool = False

    def __str__(self) -> str:
        """Return its name for messages."""
        return f"{self.operation}-{self.count}{'-alone' if self.alone else ''}"


@dataclass(frozen=True)
class Partial:
    """The state that a killed update found, and the one that it left."""

    found: State
    left: State

    def expect_between(self, whole: State) -> None:
        """Expect that a part of the way to the whole state was made, and a part was not."""
        resources = {*self.found, *self.left, *whole}
        done = {each for each in resources if self.left.get(each) != self.found.get(each)}
        undone = {each for each in resources if self.left.get(each) != whole.get(each)}
        assert done, "the killed update had done nothing"
        assert any(_is_object(urn) for urn, _ in undone), "the killed update had nothing left to do in a cluster"


def kill_up(project: Project, stack: Stack, moment: Moment, log: Path) -> Partial:
    """Start `pulumi up`, kill it at a moment, and return what it found and left; fail if it ends by itself."""
    found = state(stack)
    log.touch()
    process = project.start_up(stack, log)
    try:
        strikes = _reaches(moment, log, process)
        if moment.alone:
            process.kill()
            process.wait()
            _end_in_order(process.pid)
        end_session(process.pid)
        code = process.wait()
        assert strikes, f"`pulumi up` ended before {moment}, with exit code {code}: it did {_counted(log)}"
        assert code == -signal.SIGKILL, f"`pulumi up` was not killed, but ended with exit code {code}"
    finally:
        end_session(process.pid)
        process.wait()
    stack.cancel()
    return Partial(found, state(stack))


def state(stack: Stack) -> State:
    """Return the resources that a stack's state has; none of a stack that was never deployed."""
    return {
        (each["urn"], each.get("id", "")): without_secrets({key: each.get(key) for key in _KEYS})
        for each in stack.resources()
    }


def end_session(leader: int) -> None:
    """Kill all processes of a session."""
    for process in _members(leader):
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def _reaches(moment: Moment, log: Path, process: subprocess.Popen[bytes]) -> bool:
    """Wait until the engine has come to a moment; return whether it did before its process ended."""
    done = 0
    for operation in _operations(log, process):
        done += operation == moment.operation
        if done == moment.count:
            return True
    return False


def _operations(log: Path, process: subprocess.Popen[bytes]) -> Iterator[str]:
    """Yield the kind of each operation on a cluster's object when it is done, until the process ends."""
    rest = ""
    with log.open() as written:
        while True:
            is_ended = process.poll() is not None  # before it is read: nothing comes after that
            *lines, rest = (rest + written.read()).split("\n")
            yield from _done(lines)
            if is_ended:
                return
            time.sleep(_POLL_SECONDS)


def _done(lines: list[str]) -> Iterator[str]:
    for line in lines:
        step = (json.loads(line).get("resOutputsEvent") or {}).get("metadata") or {}
        if re.match(r"kubernetes:(?!.*Patch$)", step.get("type", "")):
            yield step["op"]


def _is_object(urn: str) -> bool:
    """Return whether a resource is an object of a cluster: certificates of an equal config differ each time."""
    return urn.split("::")[2].rpartition("$")[2].startswith("kubernetes:")


def _counted(log: Path) -> dict[str, int]:
    operations = [*_done(log.read_text().splitlines())]
    return {each: operations.count(each) for each in sorted({*operations})}


def _end_in_order(leader: int) -> None:
    """Interrupt what is left of a session: by SIGINT, plugins end what they have begun, and then themselves."""
    for process in _members(leader):
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGINT)
    eventually(lambda: not [*_members(leader)], "the plugins of a killed engine end", 120)


def _members(leader: int) -> Iterator[int]:
    """Yield the processes of a session, those aside that have ended and nobody has waited for."""
    for process in map(int, filter(str.isdigit, os.listdir("/proc"))):
        with suppress(ProcessLookupError, FileNotFoundError):
            if os.getsid(process) == leader and Path(f"/proc/{process}/cmdline").read_bytes():
                yield process
