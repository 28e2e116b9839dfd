"""Sandboxes and the lab's network on this machine's own kernel, beside a lab that may be running.

`make e2e` runs these on the machine itself, `make stock` inside a stock Debian. They need root, and no clusters.
"""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import cgroups, network, preflight
from lab.sandbox import Root, Sandbox

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="sandboxes need root")

NAME = f"test-{os.getpid()}"
CONNECT = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 3)"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with network.trial(NAME) as namespace:
        sandbox = Sandbox(NAME, namespace)
        yield sandbox
        sandbox.end()


@pytest.fixture
def switch(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A network like the lab's, with other names and addresses."""
    monkeypatch.setattr(network, "PREFIX", "kyma-test")
    monkeypatch.setattr(network, "INTERNET", "kyma-test-internet")
    monkeypatch.setattr(network, "HOST_ADDRESS", "10.76.0.1")
    monkeypatch.setattr(network, "INTERNET_ADDRESS", "10.76.0.2")
    network.down()
    network.up()
    network.connect("node", "10.76.0.11")
    yield
    network.down()


def run(sandbox: Sandbox, directory: Path, script: str) -> tuple[int, str]:
    """Run a shell script in an overlay that has the host's programs; return its exit code and output."""
    for mount_point in ("dev", "mnt", "proc", "run", "sys", "tmp"):
        (directory / "lower" / mount_point).mkdir(parents=True, exist_ok=True)
    binds = {str(path): (path, "ro") for path in preflight.PROGRAMS_OF_HOST if path.exists()}
    root = Root(directory / "lower", directory / "state", binds)
    with (directory / "log").open("wb") as log:
        code = sandbox.start_in_root(root, ["sh", "-euc", script], log).wait()
    return code, (directory / "log").read_text()


def controllers_at_root() -> dict[Path, set[str]]:
    controls = [hierarchy / "cgroup.subtree_control" for hierarchy in cgroups.hierarchies()]
    return {control: set(control.read_text().split()) for control in controls if control.exists()}


def test_preflight_accepts_this_machine() -> None:
    preflight.check()


def test_end_leaves_nothing_of_a_sandbox(sandbox: Sandbox) -> None:
    before = controllers_at_root()
    reader, writer = (os.fdopen(end, mode) for end, mode in zip(os.pipe(), ("rb", "wb"), strict=True))
    with subprocess.Popen(["sleep", "1000"]) as stranger, reader, writer:
        try:
            script = "sleep 1000 & setsid sleep 1000 & echo started; exec sleep 1000"
            started = sandbox.start(["sh", "-c", script], writer)
            assert reader.readline() == b"started\n"
            assert sandbox.alive()
            assert NAME in cgroups.names()
            assert sandbox.lacking_controllers() == []
            sandbox.end()
            assert started.wait() == -9
            assert stranger.poll() is None
        finally:
            stranger.kill()
    assert not sandbox.alive()
    assert NAME not in cgroups.names()
    assert controllers_at_root() == before
    sandbox.end()


def test_sandbox_limits_processes_in_its_own_cgroups(sandbox: Sandbox, tmp_path: Path) -> None:
    directory = "/sys/fs/cgroup" if Path("/sys/fs/cgroup/cgroup.controllers").exists() else "/sys/fs/cgroup/pids"
    limited = f"""
        mkdir {directory}/{sandbox.cgroup}/pod
        echo 1 > {directory}/{sandbox.cgroup}/pod/pids.max
        sh -c 'echo $$ > {directory}/{sandbox.cgroup}/pod/cgroup.procs; (:) & wait $!' && exit 1
        echo limited
    """
    code, output = run(sandbox, tmp_path, limited)
    assert code == 0, output
    assert output.endswith("limited\n")


def test_sandbox_cannot_change_the_cgroups_of_the_host(sandbox: Sandbox, tmp_path: Path) -> None:
    for hierarchy in cgroups.hierarchies():
        code, output = run(sandbox, tmp_path, f"mkdir {hierarchy}/escaped")
        assert (code, "Read-only file system" in output) == (1, True), output


def test_sandbox_changes_its_own_network_settings_only(sandbox: Sandbox, tmp_path: Path) -> None:
    assert run(sandbox, tmp_path, "echo 1 > /proc/sys/net/ipv4/ip_forward")[0] == 0
    assert run(sandbox, tmp_path, "echo 10 > /proc/sys/kernel/panic")[0] != 0


@pytest.mark.usefixtures("switch")
def test_host_opens_connections_to_the_lab_and_the_lab_none_to_the_host() -> None:
    inside = ("nsenter", "--net=/run/netns/kyma-test-node")
    server = "import socket; s = socket.create_server(('', 8080)); print(flush=True); s.accept()[0].send(b'.')"
    with subprocess.Popen([*inside, sys.executable, "-c", server], stdout=subprocess.PIPE) as listening:
        assert listening.stdout
        listening.stdout.readline()
        with socket.create_connection(("10.76.0.11", 8080), 20) as connection:
            assert connection.recv(1) == b"."
    with socket.create_server(("", 0)) as listener:
        port = str(listener.getsockname()[1])
        command = [*inside, sys.executable, "-c", CONNECT, "10.76.0.1", port]
        refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert refused.stderr.endswith("timed out\n")


@pytest.mark.usefixtures("switch")
def test_network_that_is_down_leaves_nothing_and_goes_down_again() -> None:
    network.disconnect("node")
    network.disconnect("node")
    network.down()
    assert not Path("/sys/class/net/kyma-test").exists()
    assert not list(network.NAMESPACES.glob("kyma-test*"))
    network.down()
