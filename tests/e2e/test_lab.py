"""The lab itself: what `up` makes, and that `down` leaves nothing of it, however it ended."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.conftest import ROOT, Lab, eventually, run

LAB = (sys.executable, "-m", "lab")
NAMESPACES = ("internet", "target", "client")


def leftovers() -> list[str]:
    """Whatever of the lab the machine still has."""
    mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    cgroups = [path for path in Path("/sys/fs/cgroup").glob("**/kyma-lab") if path.is_dir()]
    processes = [path for path in Path("/proc").glob("[0-9]*") if "kyma-lab" in read(path / "cgroup")]
    # One that has ended, and that its parent has not asked about yet, is none any more.
    processes = [path for path in processes if "\nState:\tZ" not in read(path / "status")]
    return [
        *(f"mount {mount}" for mount in mounts if "kyma" in mount),
        *(f"cgroup {cgroup}" for cgroup in cgroups),
        *(f"process {process.name}: {read(process / 'cmdline')}" for process in processes),
        *(f"namespace {path.name}" for path in Path("/run/netns").glob("kyma-lab*")),
        *(f"interface {path.name}" for path in Path("/sys/class/net").glob("kyma-lab*")),
        *(f"file {path}" for path in (ROOT / ".lab").glob("*")),
    ]


def read(path: Path) -> str:
    """A file of /proc, whose process may end meanwhile."""
    try:
        return path.read_text()
    except OSError:
        return ""


def first_process(node: str) -> int:
    """The process that holds a node: its oldest. Ids say nothing of age, they start over at some point."""
    cgroup = next(Path("/sys/fs/cgroup").glob(f"**/kyma-lab/{node}/system/cgroup.procs"))
    return min(map(int, cgroup.read_text().split()), key=start_time)


def start_time(process: int) -> int:
    """When a process began, in clock ticks since the machine did; that of an ended one is never the least."""
    fields = read(Path(f"/proc/{process}/stat")).rpartition(")")[2].split()
    return int(fields[19]) if fields else sys.maxsize


@pytest.mark.usefixtures("lab")
def test_a_second_up_finds_all_well_and_starts_nothing() -> None:
    before = first_process("target"), first_process("client")
    assert "booted" not in run(*LAB, "up").stdout
    assert (first_process("target"), first_process("client")) == before
    assert run(*LAB, "status").stdout.count("healthy") == 3


def test_the_kubeconfigs_are_for_their_owner_only(lab: Lab) -> None:
    for name in ("target", "client"):
        assert (ROOT / f".lab/{name}.kubeconfig").stat().st_mode & 0o077 == 0
        assert lab.kubectl(name, "config", "current-context").strip() == name
        assert run(*LAB, "kubeconfig", name).stdout == (ROOT / f".lab/{name}.kubeconfig").read_text()


@pytest.mark.usefixtures("lab")
def test_no_route_leads_out_of_the_lab() -> None:
    routes = {name: json.loads(run("ip", "-json", "-netns", f"kyma-lab-{name}", "route").stdout) for name in NAMESPACES}
    assert [route["dst"] for route in routes["internet"]] == ["10.77.0.0/24"], "the lab's internet has no uplink"
    for node in ("target", "client"):
        ways_out = [route.get("gateway") for route in routes[node] if route["dst"] == "default"]
        assert ways_out == ["10.77.0.2"], "the only way out of a node ends in the lab's internet"
    forwarding = Path("/proc/sys/net/ipv4/conf/kyma-lab/forwarding").read_text().strip()
    assert forwarding == "0", "the host forwards nothing for the lab"


@pytest.mark.usefixtures("lab")
def test_after_a_killed_node_status_says_so_and_up_mends_it() -> None:
    os.kill(first_process("client"), signal.SIGKILL)
    eventually(lambda: run(*LAB, "status", check=False).returncode == 1, "the lab is seen to be broken", 30)
    run(*LAB, "up")
    assert run(*LAB, "status").stdout.count("healthy") == 3


@pytest.mark.usefixtures("lab")
def test_down_leaves_nothing_not_even_of_a_lab_that_was_killed_half_way() -> None:
    assert leftovers(), "a running lab is seen at all"
    run(*LAB, "down")
    assert leftovers() == []
    with subprocess.Popen((*LAB, "up"), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as booting:
        eventually(lambda: Path("/sys/class/net/kyma-lab").exists(), "the boot has begun", 60)
        time.sleep(3)
        booting.kill()
    assert leftovers(), "it was killed half-way"
    run(*LAB, "down")
    assert leftovers() == []
    run(*LAB, "down")
    run(*LAB, "up")


@pytest.mark.usefixtures("lab")
def test_two_labs_at_once_are_one_after_the_other() -> None:
    both = [subprocess.Popen((*LAB, "up"), cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate()[0].count("The lab is up") for process in both] == [1, 1]
    assert [process.returncode for process in both] == [0, 0]


def test_what_is_no_command_is_a_usage_error() -> None:
    wrong = run(*LAB, "upp", check=False)
    assert wrong.returncode == 2
    assert "invalid choice: 'upp'" in wrong.stderr
