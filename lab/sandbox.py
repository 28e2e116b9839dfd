"""One sandbox: processes with mounts, process ids and cgroups of their own, found and ended through the cgroups.

A process that is started in a cgroup cannot leave it by itself, so nothing of a sandbox is lost when the program
that started it dies: no pid file is needed.
"""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from lab.cgroups import Cgroup
from lab.errors import LabError

CONFIG = Path(__file__).parent / "config"

_ENTER = 'while [ "$1" != -- ]; do echo 0 > "$1" || exit; shift; done; shift; exec "$@"'


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
        """Path of its cgroup in each hierarchy."""
        return self._group.path

    def start(
        self, command: Sequence[str | Path], output: IO[bytes], environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a command in the sandbox's cgroups and network, in the host's file system."""
        network = ["nsenter", f"--net=/run/netns/{self.namespace}"] if self.namespace else []
        return subprocess.Popen(
            ["sh", "-c", _ENTER, "sh", *self._group.create(), "--", *network, *command],
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
        sandbox = ["sh", CONFIG / "sandbox.sh", root.lower, root.state, self.cgroup, *binds, "--", *command]
        return self.start([*unshare, *sandbox], output, environment)

    def alive(self) -> bool:
        """Return whether the sandbox has processes."""
        return bool(self._group.processes())

    def lacking_controllers(self) -> list[str]:
        """Return the cgroup controllers that a kubelet in the sandbox would miss."""
        return self._group.lacking()

    def end(self) -> None:
        """End every process of the sandbox and remove its cgroups; nothing to do is no error."""
        deadline = time.monotonic() + 30
        while pids := self._group.processes():
            if time.monotonic() > deadline:
                raise LabError(f"{self.name}: processes {sorted(pids)} do not end; end them, then run this again")
            for pid in pids:
                _kill(pid)
            time.sleep(0.05)
        self._group.remove()

    @property
    def _group(self) -> Cgroup:
        return Cgroup(self.name)


@dataclass(frozen=True)
class Root:
    """An overlay for one sandbox: `lower` is read only, `state` gets every change.

    binds: path inside -> (path outside, mount options "ro" or "rw").
    """

    lower: Path
    state: Path
    binds: dict[str, tuple[Path, str]] = field(default_factory=dict)


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
