"""One sandbox: processes with mounts, process ids and cgroups of their own, found and ended through the cgroups.

A process that is started in a cgroup cannot leave it by itself, so nothing of a sandbox is lost when the program
that started it dies: no pid file is needed.
"""

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from lab.errors import LabError

CONFIG = Path(__file__).parent / "config"
CGROUP = "kyma-lab"

_ENTER = 'while [ "$1" != -- ]; do echo 0 > "$1"; shift; done; shift; exec "$@"'


@dataclass(frozen=True)
class Sandbox:
    """Where a sandbox's processes live.

    name: names its cgroup, kyma-lab/<name>.
    namespace: the network namespace to run in; None is the host's.
    """

    name: str
    namespace: str | None = None

    @property
    def cgroup(self) -> str:
        return f"{CGROUP}/{self.name}"

    def start(
        self, command: Sequence[str | Path], output: IO[bytes], environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a command in the sandbox's cgroups and network, in the host's file system."""
        network = ["nsenter", f"--net=/run/netns/{self.namespace}"] if self.namespace else []
        return subprocess.Popen(
            ["sh", "-c", _ENTER, "sh", *_make_cgroups(self.cgroup), "--", *network, *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
            start_new_session=True,
        )

    def start_in_root(
        self,
        root: "Root",
        command: Sequence[str | Path],
        output: IO[bytes],
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start a command as the first process of namespaces of its own, in an overlay of root.

        Without a network namespace to run in it gets an empty one.
        """
        binds = [f"{source}:{target}:{options}" for target, (source, options) in root.binds.items()]
        unshare = ["unshare", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child"]
        unshare += [] if self.namespace else ["--net"]
        sandbox = ["sh", CONFIG / "sandbox.sh", root.lower, root.state, *binds, "--", *command]
        return self.start([*unshare, *sandbox], output, environment)

    def alive(self) -> bool:
        return any(_processes(self.cgroup))

    def end(self) -> None:
        """End every process of the sandbox and remove its cgroups; nothing to do is no error."""
        deadline = time.monotonic() + 30
        while pids := set(_processes(self.cgroup)):
            if time.monotonic() > deadline:
                raise LabError(f"{self.name}: processes {sorted(pids)} do not end; end them, then run this again")
            for pid in pids:
                _kill(pid)
            time.sleep(0.05)
        for directory in _cgroup_directories(self.cgroup):
            _remove_cgroup(directory)
        for hierarchy in _hierarchies():
            with suppress(OSError):  # another sandbox is still in it
                (hierarchy / CGROUP).rmdir()


@dataclass(frozen=True)
class Root:
    """An overlay for one sandbox: lower stays as it is, state takes what changes.

    binds: path inside -> (path outside, mount options "ro" or "rw").
    """

    lower: Path
    state: Path
    binds: dict[str, tuple[Path, str]] = field(default_factory=dict)


def _hierarchies() -> list[Path]:
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    return [Path(fields[1]) for fields in mounts if fields[2] in ("cgroup", "cgroup2")]


def _make_cgroups(cgroup: str) -> list[str]:
    """Make the cgroup in every hierarchy; its `system` child is for the sandbox's own processes, beside the pods'."""
    procs = []
    for hierarchy in _hierarchies():
        directory = hierarchy
        for part in [*Path(cgroup).parts, "system"]:
            _delegate(directory)
            directory /= part
            directory.mkdir(exist_ok=True)
            for name in ("cpuset.cpus", "cpuset.mems"):  # empty in a new v1 cpuset, which then takes no process
                setting = directory / name
                if setting.exists() and not setting.read_text().strip():
                    setting.write_text((directory.parent / name).read_text())
        procs.append(str(directory / "cgroup.procs"))
    return procs


def _delegate(directory: Path) -> None:
    """Pass every controller on to the children (cgroup v2)."""
    control = directory / "cgroup.subtree_control"
    if control.exists():
        controllers = (directory / "cgroup.controllers").read_text().split()
        control.write_text(" ".join(f"+{controller}" for controller in controllers))


def _cgroup_directories(cgroup: str) -> Iterator[Path]:
    """Every directory of the cgroup in every hierarchy, children first."""
    for hierarchy in _hierarchies():
        for directory, _, _ in os.walk(hierarchy / cgroup, topdown=False):
            yield Path(directory)


def _processes(cgroup: str) -> Iterator[int]:
    for directory in _cgroup_directories(cgroup):
        try:
            yield from map(int, (directory / "cgroup.procs").read_text().split())
        except FileNotFoundError:
            continue


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _remove_cgroup(directory: Path) -> None:
    for _ in range(100):  # the kernel lets go of ended processes a moment later
        try:
            directory.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.05)
    raise LabError(f"{directory} cannot be removed: something uses it; end it, then run `python -m lab down` again")
