"""What `up` keeps, mends and replaces, and what becomes of the state of deployed stacks."""

import io
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from lab import images, lifecycle, network, owner, rootfs
from lab.cluster import Cluster, Problem
from lab.errors import LabError
from lab.node import CLIENTS, TARGET, Node, lab_dir
from lab.sandbox import Sandbox
from lab.toolchain import Toolchain

CLIENT = CLIENTS[0]
CHAIN = Toolchain({}, Path("/bin"), Path("/pulumi"))
KEY = "key"


class Machine:
    """A lab with two booted clusters and a deployed stack; remembers what is done to it."""

    def __init__(self, checkout: Path) -> None:
        self.checkout = checkout
        self.problems: dict[str, Problem] = {}
        self.cures: dict[str, Callable[[], None]] = {}
        self.has_network = True
        self.has_website = True
        self.done: list[str] = []
        self.text = io.StringIO()
        self.now = 0.0
        self.events: dict[float, Callable[[], object]] = {}
        for node in (TARGET, CLIENT):
            node.state.mkdir(parents=True)
            node.booted.write_text(KEY)
            node.kubeconfig.parent.mkdir()
            node.kubeconfig.write_text(f"of {node.name}")
        stack = lifecycle.pulumi_state() / ".pulumi/stacks/kyma-mtls/dev.json"
        stack.parent.mkdir(parents=True)
        stack.touch()

    def bring_up(self, *nodes: Node) -> list[str]:
        booted = lifecycle.bring_up(CHAIN, list(nodes or (TARGET, CLIENT)), Console(file=self.text, width=1000))
        return [node.name for node in booted]

    @property
    def said(self) -> list[str]:
        return self.text.getvalue().splitlines()

    def sleep(self, seconds: float) -> None:
        """Let time pass, and happen what is to happen then."""
        self.now += seconds
        self.events.pop(self.now, lambda: None)()

    def install(self, cluster: Cluster) -> None:
        self.done.append(f"install {cluster.node.name}")
        if cluster.node.name not in self.cures:
            raise LabError(f"{cluster.node.name}: istioctl install failed")
        self.cures[cluster.node.name]()


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    monkeypatch.setenv("KYMA_MTLS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(owner, "PLACE", tmp_path / "run")
    (tmp_path / "run").mkdir()
    monkeypatch.setattr(owner, "CHECKOUT", tmp_path / "checkout")
    lab = Machine(tmp_path / "checkout")
    monkeypatch.setattr(rootfs, "ensure", lambda *_: Path("/root"))
    monkeypatch.setattr(images, "ensure", lambda *_: Path("/images.tar"))
    monkeypatch.setattr(images, "sweep", lambda *_: lab.done.append("sweep"))
    monkeypatch.setattr(lifecycle, "boot_key", lambda *_: KEY)
    monkeypatch.setattr(lifecycle, "boot", lambda _, nodes, __: lab.done.extend(f"boot {node.name}" for node in nodes))
    monkeypatch.setattr(lifecycle, "_start_website", lambda _: lab.done.append("website"))
    monkeypatch.setattr(network, "exists", lambda: lab.has_network)
    monkeypatch.setattr(network, "down", lambda: lab.done.append("end network"))
    monkeypatch.setattr(Sandbox, "alive", lambda _: lab.has_website)
    monkeypatch.setattr(Sandbox, "end", lambda _: None)
    monkeypatch.setattr(Cluster, "problem", lambda cluster: lab.problems.get(cluster.node.name))
    monkeypatch.setattr(time, "monotonic", lambda: lab.now)
    monkeypatch.setattr(time, "sleep", lab.sleep)
    monkeypatch.setattr(Cluster, "install", lambda cluster, _: lab.install(cluster))
    return lab


def test_healthy_lab_is_kept(machine: Machine) -> None:
    assert machine.bring_up() == []
    assert (machine.done, machine.said) == ([], [])
    assert lifecycle.kubeconfig(CLIENT).read_text() == "of client"
    owner.require()


def test_missing_cluster_is_added_to_those_that_run(machine: Machine) -> None:
    assert machine.bring_up(TARGET, CLIENT, CLIENTS[1]) == ["client2"]
    assert machine.done == ["boot client2"]


def test_broken_cluster_is_replaced_alone_and_the_stacks_state_is_kept(machine: Machine) -> None:
    machine.problems["client"] = Problem("not running", is_final=True)
    assert machine.bring_up() == ["client"]
    assert machine.done == ["boot client"]
    assert machine.said[0] == "client: not running; booting an empty cluster in its place"
    assert machine.said[1].startswith("All objects deployed into client are lost. The stacks' state is kept: ")
    assert list(lifecycle.pulumi_state().glob(".pulumi/stacks/**/*.json"))


def test_cluster_that_lacks_istio_gets_it_again_and_keeps_what_is_deployed(machine: Machine) -> None:
    machine.problems["client"] = Problem("istiod is not available", is_inside=True)
    machine.cures["client"] = machine.problems.clear
    assert machine.bring_up() == []
    assert machine.done == ["install client"]
    assert machine.said == [
        "client: istiod is not available; waiting up to 120 s",
        "client: istiod is not available; installing CoreDNS and Istio again",
    ]


def test_cluster_that_no_installation_helps_is_replaced(machine: Machine) -> None:
    machine.problems["client"] = Problem("istiod is not available", is_inside=True)
    assert machine.bring_up() == ["client"]
    assert machine.done == ["install client", "boot client"]
    assert machine.said[2:4] == [
        "client: istioctl install failed",
        "client: istiod is not available; booting an empty cluster in its place",
    ]


def test_stacks_state_is_set_aside_when_no_cluster_is_left(machine: Machine) -> None:
    machine.has_network = machine.has_website = False
    assert machine.bring_up() == ["target", "client"]
    assert machine.done == ["end network", "sweep", "boot target", "boot client"]
    assert not lifecycle.pulumi_state().exists()
    (aside,) = lifecycle.pulumi_state().parent.glob("pulumi-*")
    assert list(aside.glob(".pulumi/stacks/**/*.json"))
    assert machine.said[-1].endswith(f"is kept in {aside}")


def test_cluster_whose_boot_was_interrupted_is_booted_again_without_a_word(machine: Machine) -> None:
    CLIENT.booted.unlink()
    assert machine.bring_up() == ["client"]
    assert machine.said == []


def test_problem_that_passes_is_waited_for_and_named_once(machine: Machine) -> None:
    machine.problems["client"] = Problem("the API server does not answer")
    machine.events = {100: machine.problems.clear}
    assert machine.bring_up() == []
    assert machine.done == []
    assert machine.said == ["client: the API server does not answer; waiting up to 120 s"]
    assert machine.now == 100


def test_silent_cluster_is_replaced_after_a_generous_time(machine: Machine) -> None:
    machine.problems["client"] = Problem("the API server does not answer")
    assert machine.bring_up() == ["client"]
    assert machine.done == ["boot client"]
    assert machine.now > 120


def test_website_is_started_again(machine: Machine) -> None:
    machine.has_website = False
    assert machine.bring_up() == []
    assert machine.done == ["website"]


def test_cluster_of_other_inputs_is_kept_and_named(machine: Machine) -> None:
    CLIENT.booted.write_text("older")
    assert machine.bring_up() == []
    (said,) = machine.said
    assert said.startswith("client stays as it was booted")
    assert "`python -m lab restart client`" in said


def test_end_leaves_nothing_of_the_owner_and_of_this_cache(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    owner.record()
    theirs, mine = lab_dir(), machine.checkout.with_name("other") / "cache/lab"
    kubeconfig = lifecycle.kubeconfig(TARGET)
    kubeconfig.parent.mkdir(parents=True)
    kubeconfig.touch()
    monkeypatch.setenv("KYMA_MTLS_CACHE", str(mine.parent))
    mine.mkdir(parents=True)
    lifecycle.end()
    assert [path for path in (theirs, mine, kubeconfig) if path.exists()] == []
    assert owner.recorded() is None
