"""The lab's clusters and commands."""

import argparse
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from lab import __main__ as commands
from lab import lifecycle, network, node, owner, paths, preflight, proxy, toolchain
from lab.errors import LabError
from lab.node import CLIENTS, NODES, TARGET, Node, _copy_images
from lab.toolchain import Toolchain


@pytest.fixture(autouse=True)
def _own_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KYMA_MTLS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(owner, "PLACE", tmp_path / "run")
    monkeypatch.setattr(owner, "CHECKOUT", tmp_path / "checkout")
    monkeypatch.setattr(preflight, "check_root", lambda: None)
    (tmp_path / "run").mkdir()


def names(clients: int) -> list[str]:
    return [node.name for node in lifecycle.wanted(clients)]


def hand_over_kubeconfigs() -> None:
    owner.record()
    for cluster in lifecycle.wanted():
        file = lifecycle.kubeconfig(cluster)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"of {cluster.name}")


def test_clusters_are_numbered_from_the_target() -> None:
    assert [(node.name, node.address, node.pods, node.services, node.dns) for node in NODES[:3]] == [
        ("target", "10.77.0.11", "10.78.1.0/24", "10.79.1.0/24", "10.79.1.10"),
        ("client", "10.77.0.12", "10.78.2.0/24", "10.79.2.0/24", "10.79.2.10"),
        ("client2", "10.77.0.13", "10.78.3.0/24", "10.79.3.0/24", "10.79.3.10"),
    ]
    assert NODES[-1].name == "client4"


def test_lab_has_as_many_clients_as_are_asked_for() -> None:
    assert names(1) == ["target", "client"]
    assert names(4) == ["target", "client", "client2", "client3", "client4"]


def test_lab_keeps_clients_that_are_not_asked_for() -> None:
    CLIENTS[2].state.mkdir(parents=True)
    assert names(1) == ["target", "client", "client3"]
    assert names(2) == ["target", "client", "client2", "client3"]


@pytest.mark.parametrize("clients", ["0", "5", "x"])
def test_number_of_clients_out_of_range_is_a_usage_error(clients: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        commands._parser().parse_args(["up", "--clients", clients])
    assert "argument --clients: invalid" in capsys.readouterr().err


def test_build_takes_optional_parts_and_refuses_others(capsys: pytest.CaptureFixture[str]) -> None:
    parse = commands._parser().parse_args
    assert parse(["build"]).parts == []
    optional = [*toolchain.optional_parts(), "browser"]
    assert parse(["build", *optional]).parts == optional
    with pytest.raises(SystemExit, match="2"):
        parse(["build", "istio"])
    assert "'istio' is no optional part; choose from gardener" in capsys.readouterr().err


@pytest.mark.parametrize("node", NODES, ids=lambda node: node.name)
def test_dns_of_every_cluster_knows_all_clusters_and_the_internet(node: Node) -> None:
    objects = list(yaml.safe_load_all(node.fill("cluster.yaml")))
    corefile = next(found["data"]["Corefile"] for found in objects if found["kind"] == "ConfigMap")
    addresses = {other.name: other.address for other in NODES} | {"internet": network.WEBSITE_ADDRESS}
    assert "\n" + " ".join(f"{name}.test" for name in addresses) + " {\n" in corefile
    for name, address in addresses.items():
        assert f'template IN A {name}.test {{\n        answer "{{{{ .Name }}}} 30 IN A {address}"' in corefile


def test_boot_key_changes_with_programs_and_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def key() -> str:
        programs = {name: tmp_path / f"parts/{version}/{name}" for name in (*node.PROGRAMS, "istioctl")}
        return node.boot_key(Toolchain(programs, tmp_path, tmp_path), tmp_path / "root", tmp_path / "images.tar")

    config = tmp_path / "config"
    config.mkdir()
    (config / "kubelet.yaml").write_text("a: b")
    monkeypatch.setattr(node, "CONFIG", config)
    version = "1"
    first = key()
    assert key() == first
    version = "2"
    assert key() != first
    version = "1"
    (config / "kubelet.yaml").write_text("a: c")
    assert key() != first


def test_nodes_share_the_files_of_images_and_have_their_own_databases(tmp_path: Path) -> None:
    images, copy = tmp_path / "images", tmp_path / "node"
    for file in ("snapshotter/snapshots/1/fs/bin/envoy", "snapshotter/metadata.db", "bolt/meta.db"):
        (images / file).parent.mkdir(parents=True, exist_ok=True)
        (images / file).write_text(file)
    (images / "snapshotter/snapshots/1/fs/link").symlink_to("bin/envoy")
    _copy_images(images, copy)
    envoy = "snapshotter/snapshots/1/fs/bin/envoy"
    assert (copy / "snapshotter/snapshots/1/fs/link").read_text() == envoy
    assert (copy / envoy).samefile(images / envoy)
    for database in ("snapshotter/metadata.db", "bolt/meta.db"):
        assert (copy / database).read_text() == database
        assert not (copy / database).samefile(images / database)


def test_credentials_are_for_root_only_and_all_different() -> None:
    etc = TARGET.state / "etc"
    etc.mkdir(parents=True)
    (etc / "apiserver.crt").write_text("certificate")
    TARGET._write_credentials()
    tokens = [line.split(",")[:2] for line in (etc / "tokens.csv").read_text().splitlines()]
    assert {user for _, user in tokens} == {"system:node:target", *(user for user, _ in node.USERS.values())}
    assert len({token for token, _ in tokens}) == len(tokens)
    assert all(file.stat().st_mode & 0o077 == 0 for file in etc.iterdir())
    admin = yaml.safe_load(TARGET.kubeconfig.read_text())
    assert admin["clusters"][0]["cluster"]["server"] == "https://10.77.0.11:6443"
    assert [admin["users"][0]["user"]["token"], "admin"] in tokens


def test_env_needs_the_lab_to_be_up(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(LabError, match="the lab is not up: run `python -m lab up`"):
        commands.env(argparse.Namespace())
    owner.record()
    with pytest.raises(LabError, match=r"target\.kubeconfig does not exist; is the lab up\?"):
        commands.env(argparse.Namespace())
    assert capsys.readouterr().out == ""


def test_env_keeps_the_users_proxy_exceptions(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hand_over_kubeconfigs()
    monkeypatch.setenv("NO_PROXY", "intranet.example, 10.0.0.1")
    monkeypatch.setenv("no_proxy", "10.0.0.1,other.example")
    commands.env(argparse.Namespace())
    lines = capsys.readouterr().out.splitlines()
    nodes = "10.77.0.11,10.77.0.12,10.77.0.13,10.77.0.14,10.77.0.15"
    value = f"intranet.example,10.0.0.1,other.example,{nodes},203.0.113.10,.test"
    assert f"export NO_PROXY={value}" in lines
    assert f"export no_proxy={value}" in lines


def test_proxy_exceptions_are_the_same_when_asked_again() -> None:
    once = proxy.exceptions({})
    assert proxy.exceptions(once) == once


def test_kubeconfig_is_printed_for_the_lab_of_this_checkout_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hand_over_kubeconfigs()
    commands.kubeconfig(argparse.Namespace(name="client"))
    assert capsys.readouterr().out == "of client"
    monkeypatch.setattr(owner, "CHECKOUT", Path("/elsewhere"))
    with pytest.raises(LabError, match=r"the lab on this machine belongs to the checkout .*/checkout with the cache "):
        commands.kubeconfig(argparse.Namespace(name="client"))


def test_logs_lists_the_logs_and_prints_one(capfd: pytest.CaptureFixture[str]) -> None:
    owner.record()
    for cluster in (TARGET, CLIENTS[0]):
        cluster.logs.mkdir(parents=True)
        (cluster.logs / "etcd.log").write_text(f"etcd of {cluster.name}\n")
    (TARGET.logs / "kubelet.log").write_text("kubelet\n")
    commands.logs(argparse.Namespace(node=None, program=None))
    listed = [TARGET.logs / "etcd.log", TARGET.logs / "kubelet.log", CLIENTS[0].logs / "etcd.log"]
    assert capfd.readouterr().out.splitlines() == [str(file) for file in listed]
    commands.logs(argparse.Namespace(node="client", program="etcd", follow=False))
    assert capfd.readouterr().out == "etcd of client\n"
    with pytest.raises(LabError, match=r"etcdd\.log does not exist"):
        commands.logs(argparse.Namespace(node="client", program="etcdd", follow=False))


def test_purge_ends_the_lab_and_deletes_what_was_built(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[str] = []
    monkeypatch.setattr(lifecycle, "end", lambda: ended.append("lab"))
    monkeypatch.setattr(lifecycle, "is_running", lambda: False)
    for name in ("parts", "bin", "pulumi", "logs", "images"):
        (paths.cache_dir() / name / "file").mkdir(parents=True)
    commands.purge(argparse.Namespace())
    assert ended == ["lab"]
    assert [path.name for path in paths.cache_dir().iterdir()] == ["lock"]


def test_purge_deletes_nothing_while_the_lab_is_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    def used() -> str:
        return "the tests of another checkout (process 7)"

    monkeypatch.setattr(owner, "_user", used)
    monkeypatch.setattr(toolchain, "purge", lambda: pytest.fail("purged"))
    with pytest.raises(LabError, match="in use by the tests of another checkout"):
        commands.purge(argparse.Namespace())


@pytest.fixture
def _signals_as_before() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE)}
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("_signals_as_before")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signals_interrupt_a_command_as_ctrl_c_does(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: signal.Signals
) -> None:
    monkeypatch.setattr(sys, "argv", ["lab", "status"])
    monkeypatch.setattr(preflight, "check_root", lambda: signal.raise_signal(number))
    commands.handle_signals()
    assert commands.main() == 130
    assert capsys.readouterr().err == "Interrupted; `python -m lab up` and `down` continue from here\n"


@pytest.mark.usefixtures("_signals_as_before")
def test_hangup_stays_ignored_under_nohup() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    commands.handle_signals()
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN


@pytest.mark.parametrize(
    "error", [LabError("the disk is full"), OSError(28, "No space left on device", "/cache/lab"), TimeoutError("late")]
)
def test_failure_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(sys, "argv", ["lab", "status"])
    monkeypatch.setattr(preflight, "check_root", fail)
    assert commands.main() == 1
    assert capsys.readouterr().err == f"{error}\n"
