"""The lab itself: what `up` makes and mends, that others leave it alone, and that `down` leaves nothing of it."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlparse

import pytest

from lab.owner import PLACE, SESSION
from tests.e2e.support.commands import ROOT, run
from tests.e2e.support.lab import Lab
from tests.e2e.support.waiting import eventually

LAB = (sys.executable, "-m", "lab")
CLUSTERS = ("target", "client", "client2")


def leftovers() -> list[str]:
    """Return whatever of the lab the machine still has."""
    mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    cgroups = [path for path in Path("/sys/fs/cgroup").glob("**/kyma-lab") if path.is_dir()]
    processes = [path for path in Path("/proc").glob("[0-9]*") if "kyma-lab" in read(path / "cgroup")]
    # A zombie is none any more.
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
    """Return the text of a file of /proc, whose process may end meanwhile."""
    try:
        return path.read_text()
    except OSError:
        return ""


def first_processes() -> dict[str, int]:
    """Return by cluster the process that holds it: its oldest. Process ids start over, so they do not tell the age."""
    cgroups = {name: Path("/sys/fs/cgroup").glob(f"**/kyma-lab/{name}/system/cgroup.procs") for name in CLUSTERS}
    processes = {name: read(next(files, Path())).split() for name, files in cgroups.items()}
    return {name: min(map(int, ids), key=start_time) for name, ids in processes.items() if ids}


def start_time(process: int) -> int:
    """Return when a process started, in clock ticks since the machine did; that of an ended one is never the least."""
    fields = read(Path(f"/proc/{process}/stat")).rpartition(")")[2].split()
    return int(fields[19]) if fields else sys.maxsize


def cluster_uids(lab: Lab) -> dict[str, str]:
    uid = ("get", "namespace", "kube-system", "-o", "jsonpath={.metadata.uid}")
    return {name: lab.kubectl(name, *uid) for name in CLUSTERS}


def start(*command: str) -> subprocess.Popen[str]:
    """Start a command of the lab."""
    return subprocess.Popen((*LAB, *command), cwd=ROOT, stdout=subprocess.PIPE, text=True)


def read_line(process: subprocess.Popen[str]) -> str:
    """Wait for the next line that a command prints."""
    assert process.stdout
    return process.stdout.readline()


@pytest.fixture
def lab_to_end(lab: Lab, request: pytest.FixtureRequest) -> Iterator[Lab]:
    """For a test that ends the lab; it runs last."""
    yield lab
    if request.config.getoption("--running-lab"):
        run(*LAB, "up", "--clients", "2")


@pytest.fixture
def pod(lab: Lab) -> Iterator[str]:
    """A Pod with curl in the cluster client."""
    lab.kubectl("client", "run", "lab-test", "--image=lab.local/curl:lab", "--", "sleep", "infinity")
    lab.kubectl("client", "wait", "--for=condition=Ready", "pod/lab-test", "--timeout=120s")
    yield "lab-test"
    lab.kubectl("client", "delete", "pod", "lab-test", "--now")


@pytest.mark.usefixtures("lab")
def test_second_up_starts_nothing_and_keeps_clusters_that_it_does_not_ask_for() -> None:
    before = first_processes()
    assert run(*LAB, "up").stdout == "The lab is up\n"
    assert first_processes() == before
    status = run(*LAB, "status").stdout
    assert status.count("healthy") == 4
    assert f"It belongs to the checkout {ROOT} with the cache " in status


def test_kubeconfigs_are_for_their_owner_only(lab: Lab) -> None:
    for name in CLUSTERS:
        assert (ROOT / f".lab/{name}.kubeconfig").stat().st_mode & 0o077 == 0
        assert lab.kubectl(name, "config", "current-context").strip() == name
        assert run(*LAB, "kubeconfig", name).stdout == (ROOT / f".lab/{name}.kubeconfig").read_text()
    for name in CLUSTERS:  # all of them through $KUBECONFIG
        assert run("kubectl", "--context", name, "get", "nodes", "-o", "name").stdout.strip() == f"node/{name}"


@pytest.mark.usefixtures("lab")
def test_kubectl_reaches_the_lab_without_the_users_proxy() -> None:
    environment = os.environ | {"HTTPS_PROXY": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    command = ("kubectl", "--context", "client", "get", "--raw=/readyz")
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == "ok", done.stderr
    exceptions = {"NO_PROXY": "", "no_proxy": ""}
    done = subprocess.run(command, env=environment | exceptions, capture_output=True, text=True, check=False)
    assert done.returncode == 1, "without NO_PROXY, kubectl would ask the proxy"
    assert "refused" in done.stderr


@pytest.mark.usefixtures("lab")
def test_logs_of_programs_are_listed_and_printed() -> None:
    listed = run(*LAB, "logs", "client2").stdout.splitlines()
    kubelet = next(line for line in listed if line.endswith("/client2/logs/kubelet.log"))
    assert Path(kubelet).read_text().startswith(run(*LAB, "logs", "client2", "kubelet").stdout[:1000])


@pytest.mark.usefixtures("lab")
def test_routes_of_the_nodes_end_in_the_labs_internet() -> None:
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


def test_pods_reach_the_labs_internet_and_no_other(lab: Lab, pod: str) -> None:
    curl = ("exec", pod, "--", "curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "--connect-timeout", "3")
    assert lab.kubectl("client", *curl, "http://a.internet.test/get") == "200"
    refused = run("kubectl", "--kubeconfig", lab.kubeconfig("client"), *curl, "http://198.51.100.1/", check=False)
    assert refused.stdout == "000", "198.51.100.1 is outside of the lab"


def test_pods_resolve_the_domains_of_clusters_and_of_the_internet(lab: Lab, pod: str) -> None:
    addresses = {"a.target.test": "10.77.0.11", "client4.test": "10.77.0.15", "b.internet.test": "203.0.113.10"}
    answers = lab.kubectl("client", "exec", pod, "--", "getent", "hosts", *addresses)
    assert [line.split() for line in answers.splitlines()] == [[value, name] for name, value in addresses.items()]


@pytest.mark.usefixtures("lab")
def test_lab_is_left_alone_by_other_checkouts_and_caches(tmp_path: Path) -> None:
    before = first_processes()
    shutil.copytree(ROOT / "lab", tmp_path / "lab")
    owner = "the lab on this machine belongs to the checkout "
    for command in ("up", "restart client", "down", "purge", "env", "kubeconfig client", "status"):
        for place, cache in ((tmp_path, {}), (ROOT, {"KYMA_MTLS_CACHE": str(tmp_path / "cache")})):
            refused = subprocess.run(
                (*LAB, *command.split()), cwd=place, env=os.environ | cache, capture_output=True, text=True, check=False
            )
            assert (refused.returncode, refused.stdout) == (1, ""), command
            assert refused.stderr.startswith(f"{owner}{ROOT} with the cache "), refused.stderr
            assert refused.stderr.count("\n") == 1
    assert first_processes() == before


@pytest.mark.usefixtures("lab")
def test_lab_that_is_in_use_is_changed_by_its_users_only() -> None:
    others = {name: value for name, value in os.environ.items() if name != SESSION}
    for command in ("up", "down", "restart client", "purge"):
        refused = subprocess.run(
            (*LAB, *command.split()), cwd=ROOT, env=others, capture_output=True, text=True, check=False
        )
        assert refused.returncode == 1, command
        assert refused.stderr.startswith(f"the lab is in use by the end-to-end tests of {ROOT} (process {os.getpid()})")
    run(*LAB, "up")


@pytest.mark.usefixtures("lab")
def test_up_waits_for_another_command_to_finish() -> None:
    with (PLACE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        waiting = start("up")
        assert read_line(waiting) == "Waiting for another `python -m lab` to finish\n"
    assert waiting.communicate()[0] == "The lab is up\n"


def test_up_waits_for_a_deployment_to_be_available_again(lab: Lab) -> None:
    before = first_processes()
    scale = ("-n", "istio-system", "scale", "deployment", "istiod")
    lab.kubectl("client2", *scale, "--replicas=0")
    eventually(lambda: run(*LAB, "status", check=False).returncode == 1, "istiod has ended")
    with start("up") as mending:
        assert read_line(mending) == "client2: istiod is not available; waiting up to 120 s\n"
        lab.kubectl("client2", *scale, "--replicas=1")
        assert mending.communicate()[0] == "The lab is up\n"
    assert first_processes() == before


def test_broken_cluster_is_replaced_alone_and_the_stacks_state_is_kept(lab: Lab) -> None:
    uids, processes = cluster_uids(lab), first_processes()
    stale = Path(lab.kubeconfig("client2")).read_text()
    backend = urlparse(os.environ["PULUMI_BACKEND_URL"]).path
    stack = Path(backend, ".pulumi/stacks/kyma-mtls/test_lab.json")
    stack.parent.mkdir(parents=True, exist_ok=True)
    stack.touch()
    os.kill(processes["client2"], signal.SIGKILL)
    eventually(lambda: "not running" in run(*LAB, "status", check=False).stdout, "the cluster is seen to be broken")
    said = run(*LAB, "up").stdout
    assert said.startswith(
        "client2: not running; booting an empty cluster in its place\nWhat was deployed into client2 is gone. "
    )
    assert "The lab is up: booted in" in said
    for changed in (
        [name for name, uid in cluster_uids(lab).items() if uid != uids[name]],
        [name for name, process in first_processes().items() if process != processes[name]],
    ):
        assert changed == ["client2"]
    assert Path(lab.kubeconfig("client2")).read_text() != stale
    assert run(*LAB, "status").stdout.count("healthy") == 4
    stack.unlink()


@pytest.mark.usefixtures("lab")
def test_restart_of_a_cluster_that_is_not_running_is_refused() -> None:
    refused = run(*LAB, "restart", "client4", check=False)
    assert refused.returncode == 1
    assert refused.stderr == "client4 is not running: `python -m lab up` boots the lab\n"


@pytest.mark.usefixtures("lab_to_end")
def test_down_leaves_nothing_of_a_lab_that_was_killed_while_a_cluster_booted() -> None:
    before = first_processes()
    with start("restart", "client2") as booting:
        eventually(lambda: first_processes().get("client2", before["client2"]) != before["client2"], "the boot began")
        booting.kill()
    assert leftovers(), "it was killed half-way"
    assert "client2" in run(*LAB, "status", check=False).stdout
    run(*LAB, "down")
    assert leftovers() == []
    assert run(*LAB, "status", check=False).stderr == "the lab is not up: run `python -m lab up`\n"
    run(*LAB, "down")


def test_unknown_command_is_a_usage_error() -> None:
    wrong = run(*LAB, "upp", check=False)
    assert wrong.returncode == 2
    assert "invalid choice: 'upp'" in wrong.stderr
