"""The lab itself: what `up` makes and mends, and which commands leave it alone."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import urlparse

import pytest

from lab.node import NODES
from lab.owner import PLACE, SESSION
from tests.e2e.support.commands import ROOT, run
from tests.e2e.support.lab import CLUSTERS, Lab
from tests.e2e.support.machine import LAB, first_processes, start
from tests.e2e.support.waiting import eventually


def processes() -> dict[str, int]:
    """Return the first process of each of these tests' clusters."""
    return first_processes(*CLUSTERS)


def is_healthy() -> bool:
    """Return whether the status says so of these tests' clusters, and of the website."""
    rows = [line.replace("│", " ").split() for line in run(*LAB, "status", check=False).stdout.splitlines()]
    return {row[0] for row in rows if row[-1:] == ["healthy"]} >= {*CLUSTERS, "website"}


def cluster_uids(lab: Lab) -> dict[str, str]:
    uid = ("get", "namespace", "kube-system", "-o", "jsonpath={.metadata.uid}")
    return {name: lab.kubectl(name, *uid) for name in CLUSTERS}


def own_lines(lines: Iterable[str]) -> Iterator[str]:
    """Yield the lines that are not about a cluster of another worker, which may be busy at any time."""
    others = tuple(f"{node.name}: " for node in NODES if node.name not in CLUSTERS)
    return (line for line in lines if not line.startswith(others))


def said_by_up() -> str:
    """Return what `up` says of these tests' clusters."""
    return "".join(own_lines(run(*LAB, "up").stdout.splitlines(keepends=True)))


@pytest.fixture
def pod(lab: Lab) -> Iterator[str]:
    """A Pod with curl in the cluster client."""
    lab.kubectl("client", "run", "lab-test", "--image=lab.local/curl:lab", "--", "sleep", "infinity")
    lab.kubectl("client", "wait", "--for=condition=Ready", "pod/lab-test", "--timeout=120s")
    yield "lab-test"
    lab.kubectl("client", "delete", "pod", "lab-test", "--now")


@pytest.mark.usefixtures("lab")
def test_second_up_starts_nothing_and_keeps_clusters_that_it_does_not_ask_for() -> None:
    before = processes()
    assert said_by_up() == "The lab is up\n"
    assert processes() == before
    eventually(is_healthy, "every part is healthy")
    assert f"It belongs to the checkout {ROOT} with the cache " in run(*LAB, "status").stdout


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
    before = processes()
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
    assert processes() == before


@pytest.mark.usefixtures("lab")
def test_lab_that_is_in_use_is_changed_by_its_users_only() -> None:
    if SESSION not in os.environ:
        pytest.skip("with --lab-worker, several sessions use the lab")
    others = {name: value for name, value in os.environ.items() if name != SESSION}
    for command in ("up", "down", "restart client", "purge"):
        refused = subprocess.run(
            (*LAB, *command.split()), cwd=ROOT, env=others, capture_output=True, text=True, check=False
        )
        assert refused.returncode == 1, command
        assert refused.stderr.startswith(
            f"the lab is in use by the end-to-end tests of {ROOT} (process {os.environ[SESSION]})"
        )
    run(*LAB, "up")


@pytest.mark.usefixtures("lab")
def test_up_waits_for_another_command_to_finish() -> None:
    with (PLACE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        waiting = start("up")
        assert waiting.stdout
        lines = own_lines(waiting.stdout)
        assert next(lines) == "Waiting for another `python -m lab` to finish\n"
    assert list(lines) == ["The lab is up\n"]
    assert waiting.wait() == 0


def test_up_waits_for_a_deployment_to_be_available_again(lab: Lab) -> None:
    before = processes()
    scale = ("-n", "istio-system", "scale", "deployment", "istiod")
    lab.kubectl("client2", *scale, "--replicas=0")
    ended = "istiod is not available"
    eventually(lambda: ended in run(*LAB, "status", check=False).stdout, "istiod has ended")
    with start("up") as mending:
        assert mending.stdout
        lines = own_lines(mending.stdout)
        assert next(lines) == "client2: istiod is not available; waiting up to 120 s\n"
        lab.kubectl("client2", *scale, "--replicas=1")
        assert list(lines) == ["The lab is up\n"]
        assert mending.wait() == 0
    assert processes() == before


def test_broken_cluster_is_replaced_alone_and_the_stacks_state_is_kept(lab: Lab) -> None:
    uids, first = cluster_uids(lab), processes()
    stale = Path(lab.kubeconfig("client2")).read_text()
    backend = urlparse(os.environ["PULUMI_BACKEND_URL"]).path
    stack = Path(backend, ".pulumi/stacks/kyma-mtls/test_lab.json")
    stack.parent.mkdir(parents=True, exist_ok=True)
    stack.touch()
    os.kill(first["client2"], signal.SIGKILL)
    eventually(lambda: "not running" in run(*LAB, "status", check=False).stdout, "the cluster is seen to be broken")
    said = said_by_up()
    assert said.startswith(
        "client2: not running; booting an empty cluster in its place\nAll objects deployed into client2 are lost. "
    )
    assert "The lab is up: booted in" in said
    for changed in (
        [name for name, uid in cluster_uids(lab).items() if uid != uids[name]],
        [name for name, process in processes().items() if process != first[name]],
    ):
        assert changed == ["client2"]
    assert Path(lab.kubeconfig("client2")).read_text() != stale
    eventually(is_healthy, "every part is healthy")
    stack.unlink()


def test_unknown_command_is_a_usage_error() -> None:
    wrong = run(*LAB, "upp", check=False)
    assert wrong.returncode == 2
    assert "invalid choice: 'upp'" in wrong.stderr
