"""The lab itself: what `up` makes, and that `down` leaves nothing of it, however it ended."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import ROOT, Lab, eventually, run

LAB = (sys.executable, "-m", "lab")
CLUSTERS = ("target", "client", "client2")


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


def first_processes() -> dict[str, int]:
    """By cluster, the process that holds it: its oldest. Ids say nothing of age, they start over at some point."""
    cgroups = {name: Path("/sys/fs/cgroup").glob(f"**/kyma-lab/{name}/system/cgroup.procs") for name in CLUSTERS}
    processes = {name: read(next(files, Path())).split() for name, files in cgroups.items()}
    return {name: min(map(int, ids), key=start_time) for name, ids in processes.items() if ids}


def start_time(process: int) -> int:
    """When a process began, in clock ticks since the machine did; that of an ended one is never the least."""
    fields = read(Path(f"/proc/{process}/stat")).rpartition(")")[2].split()
    return int(fields[19]) if fields else sys.maxsize


def cluster_uids(lab: Lab) -> dict[str, str]:
    uid = ("get", "namespace", "kube-system", "-o", "jsonpath={.metadata.uid}")
    return {name: lab.kubectl(name, *uid) for name in CLUSTERS}


def up(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen((*LAB, "up", *arguments), cwd=ROOT, stdout=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def lab_that_may_end(lab: Lab) -> Iterator[Lab]:
    """For tests that end the lab; the tests of other files find it as they know it."""
    yield lab
    run(*LAB, "up", "--clients", "2")


@pytest.mark.usefixtures("lab")
def test_second_up_starts_nothing_and_keeps_clusters_that_it_does_not_ask_for() -> None:
    before = first_processes()
    assert "booted" not in run(*LAB, "up").stdout
    assert first_processes() == before
    assert run(*LAB, "status").stdout.count("healthy") == 4


def test_kubeconfigs_are_for_their_owner_only(lab: Lab) -> None:
    for name in CLUSTERS:
        assert (ROOT / f".lab/{name}.kubeconfig").stat().st_mode & 0o077 == 0
        assert lab.kubectl(name, "config", "current-context").strip() == name
        assert run(*LAB, "kubeconfig", name).stdout == (ROOT / f".lab/{name}.kubeconfig").read_text()
    for name in CLUSTERS:  # all of them through $KUBECONFIG
        assert run("kubectl", "--context", name, "get", "nodes", "-o", "name").stdout.strip() == f"node/{name}"


@pytest.mark.usefixtures("lab")
def test_lab_has_no_route_out() -> None:
    routes = {
        name: json.loads(run("ip", "-json", "-netns", f"kyma-lab-{name}", "route").stdout)
        for name in ("internet", *CLUSTERS)
    }
    assert [route["dst"] for route in routes["internet"]] == ["10.77.0.0/24"], "the lab's internet has no uplink"
    for node in CLUSTERS:
        ways_out = [route.get("gateway") for route in routes[node] if route["dst"] == "default"]
        assert ways_out == ["10.77.0.2"], "the only way out of a node ends in the lab's internet"
    forwarding = Path("/proc/sys/net/ipv4/conf/kyma-lab/forwarding").read_text().strip()
    assert forwarding == "0", "the host forwards nothing for the lab"


def test_pods_resolve_the_domains_of_clusters_and_of_the_internet(lab: Lab) -> None:
    lab.kubectl("client2", "run", "asker", "--image=lab.local/curl:lab", "--", "sleep", "infinity")
    lab.kubectl("client2", "wait", "--for=condition=Ready", "pod/asker", "--timeout=60s")
    addresses = {"a.target.test": "10.77.0.11", "client4.test": "10.77.0.15", "b.internet.test": "203.0.113.10"}
    answers = lab.kubectl("client2", "exec", "asker", "--", "getent", "hosts", *addresses)
    assert [line.split() for line in answers.splitlines()] == [[value, name] for name, value in addresses.items()]
    lab.kubectl("client2", "delete", "pod", "asker", "--now")


def test_restarted_cluster_is_another_one_and_leaves_the_rest_alone(lab: Lab) -> None:
    uids, processes = cluster_uids(lab), first_processes()
    stale = Path(lab.kubeconfig("client2")).read_text()
    run(*LAB, "restart", "client2")
    for changed in (
        [name for name, uid in cluster_uids(lab).items() if uid != uids[name]],
        [name for name, process in first_processes().items() if process != processes[name]],
    ):
        assert changed == ["client2"]
    assert Path(lab.kubeconfig("client2")).read_text() != stale
    assert run(*LAB, "status").stdout.count("healthy") == 4


@pytest.mark.usefixtures("lab")
def test_restart_of_a_cluster_that_is_not_running_is_refused() -> None:
    refused = run(*LAB, "restart", "client4", check=False)
    assert refused.returncode == 1
    assert refused.stderr == "client4 is not running; `python -m lab up` boots the lab\n"


@pytest.mark.usefixtures("lab_that_may_end")
def test_down_leaves_nothing_of_a_lab_that_was_killed_while_it_was_mended() -> None:
    os.kill(first_processes()["client"], signal.SIGKILL)
    eventually(lambda: run(*LAB, "status", check=False).returncode == 1, "the lab is seen to be broken", 30)
    with up() as mending:
        assert mending.stdout
        assert mending.stdout.readline() == "Ending a broken lab (client: not running)\n"
        eventually(lambda: "client" in first_processes(), "the new boot has begun", 60)
        time.sleep(3)
        mending.kill()
    assert leftovers(), "it was killed half-way"
    run(*LAB, "down")
    assert leftovers() == []
    run(*LAB, "down")


@pytest.mark.usefixtures("lab_that_may_end")
def test_second_of_two_ups_at_once_waits_and_adds_its_cluster_to_those_of_the_first() -> None:
    run(*LAB, "down")
    with up() as first:
        eventually(lambda: Path("/sys/class/net/kyma-lab").exists(), "the boot has begun", 60)
        with up("--clients", "2") as second:
            assert "The lab is up: booted" in first.communicate()[0]
            before = first_processes()
            said = second.communicate()[0]
    assert (first.returncode, second.returncode) == (0, 0)
    assert said.startswith("Waiting for another `python -m lab` to finish")
    assert "client2: is ready" in said
    after = first_processes()
    assert [after[name] for name in ("target", "client")] == [before[name] for name in ("target", "client")]
    assert run(*LAB, "status").stdout.count("healthy") == 4


def test_unknown_command_is_a_usage_error() -> None:
    wrong = run(*LAB, "upp", check=False)
    assert wrong.returncode == 2
    assert "invalid choice: 'upp'" in wrong.stderr
