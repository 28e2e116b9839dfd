"""What the machine has of the lab: its commands, processes, mounts, namespaces and files."""

import subprocess
import sys
from pathlib import Path

from tests.e2e.support.commands import ROOT

LAB = (sys.executable, "-m", "lab")


def start(*command: str) -> subprocess.Popen[str]:
    """Start a command of the lab."""
    return subprocess.Popen((*LAB, *command), cwd=ROOT, stdout=subprocess.PIPE, text=True)


def leftovers() -> list[str]:
    """Return all that the machine still has of the lab."""
    mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    cgroups = [path for path in Path("/sys/fs/cgroup").glob("**/kyma-lab") if path.is_dir()]
    processes = [path for path in Path("/proc").glob("[0-9]*") if "kyma-lab" in _read(path / "cgroup")]
    # A zombie is none any more.
    processes = [path for path in processes if "\nState:\tZ" not in _read(path / "status")]
    return [
        *(f"mount {mount}" for mount in mounts if "kyma" in mount),
        *(f"cgroup {cgroup}" for cgroup in cgroups),
        *(f"process {process.name}: {_read(process / 'cmdline')}" for process in processes),
        *(f"namespace {path.name}" for path in Path("/run/netns").glob("kyma-lab*")),
        *(f"interface {path.name}" for path in Path("/sys/class/net").glob("kyma-lab*")),
        *(f"file {path}" for path in (ROOT / ".lab").glob("*")),
    ]


def first_processes(*clusters: str) -> dict[str, int]:
    """Return by cluster the process that holds it: its oldest. Process ids start over, so they do not tell the age."""
    cgroups = {name: Path("/sys/fs/cgroup").glob(f"**/kyma-lab/{name}/system/cgroup.procs") for name in clusters}
    processes = {name: _read(next(files, Path())).split() for name, files in cgroups.items()}
    return {name: min(map(int, ids), key=_start_time) for name, ids in processes.items() if ids}


def _start_time(process: int) -> int:
    """Return when a process started, in clock ticks since the machine did; that of an ended one is never the least."""
    fields = _read(Path(f"/proc/{process}/stat")).rpartition(")")[2].split()
    return int(fields[19]) if fields else sys.maxsize


def _read(path: Path) -> str:
    """Return the text of a file of /proc, whose process may end meanwhile."""
    try:
        return path.read_text()
    except OSError:
        return ""
