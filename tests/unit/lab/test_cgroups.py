"""Cgroups of the lab in trees of v1, hybrid and v2, with a kernel that is a few rules."""

import errno
import os
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lab import cgroups
from lab.cgroups import Cgroup
from lab.errors import LabError

V1 = ("cpu,cpuacct", "cpuset", "memory", "pids", "systemd")


@dataclass
class Kernel:
    """Does what cgroupfs does when directories are made and removed and settings are written.

    refused: controllers that cannot be enabled
    written: every write of a setting, in order
    """

    refused: set[str] = field(default_factory=set)
    written: list[tuple[Path, str]] = field(default_factory=list)

    def mkdir(self, directory: Path) -> None:
        if directory.exists():
            return
        directory.mkdir()
        (directory / "cgroup.procs").touch()
        parent = directory.parent
        if (parent / "cpuset.cpus").exists():
            (directory / "cpuset.cpus").touch()
            (directory / "cpuset.mems").touch()
        if (parent / "cgroup.controllers").exists():
            (directory / "cgroup.controllers").write_text((parent / "cgroup.subtree_control").read_text())
            (directory / "cgroup.subtree_control").touch()

    def rmdir(self, directory: Path) -> None:
        if any(path.is_dir() for path in directory.iterdir()) or (directory / "cgroup.procs").read_text():
            raise OSError(errno.EBUSY, "Device or resource busy")
        for file in directory.iterdir():
            file.unlink()
        directory.rmdir()

    def write(self, file: Path, text: str) -> None:
        self.written.append((file, text))
        if file.name != "cgroup.subtree_control":
            file.write_text(text)
            return
        sign, controller, enabled = text[0], text[1:], set(file.read_text().split())
        if sign == "+" and (
            controller in self.refused or controller not in words(file.with_name("cgroup.controllers"))
        ):
            raise OSError(errno.ENOENT, "No such file or directory")
        children = [child for child in file.parent.iterdir() if child.is_dir()]
        if sign == "-" and any(controller in words(child / file.name) for child in children):
            raise OSError(errno.EBUSY, "Device or resource busy")
        file.write_text(" ".join(sorted(enabled | {controller} if sign == "+" else enabled - {controller})))
        for child in children:
            (child / "cgroup.controllers").write_text(file.read_text())


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    kernel = Kernel()
    monkeypatch.setattr(cgroups, "_mkdir", kernel.mkdir)
    monkeypatch.setattr(cgroups, "_rmdir", kernel.rmdir)
    monkeypatch.setattr(cgroups, "_write", kernel.write)
    monkeypatch.setattr("time.sleep", lambda _: None)
    return kernel


def v1(root: Path) -> Path:
    for name in V1:
        (root / name).mkdir()
        (root / name / "cgroup.procs").touch()
    (root / "cpu").symlink_to("cpu,cpuacct")
    (root / "cpuset/cpuset.cpus").write_text("0-3\n")
    (root / "cpuset/cpuset.mems").write_text("0\n")
    return root


def v2(root: Path, controllers: str = "cpu cpuset hugetlb io memory pids rdma", enabled: str = "cpu memory") -> Path:
    root.mkdir(exist_ok=True)
    (root / "cgroup.procs").touch()
    (root / "cgroup.controllers").write_text(controllers)
    (root / "cgroup.subtree_control").write_text(enabled)
    return root


def hybrid(root: Path) -> Path:
    v1(root)
    v2(root / "unified", "hugetlb", "")
    return root


def words(file: Path) -> set[str]:
    return set(file.read_text().split())


def tree(root: Path) -> dict[Path, str]:
    return {path: path.read_text() if path.is_file() else "" for path in root.rglob("*")}


MACHINES = pytest.mark.parametrize("machine", [v1, hybrid, v2])


@MACHINES
def test_cgroup_is_in_every_hierarchy_and_leaves_the_machine_as_it_was(
    machine: Callable[[Path], Path], kernel: Kernel, tmp_path: Path
) -> None:
    root = machine(tmp_path)
    before = tree(root)
    files = Cgroup("target", root).create()
    mounted = [root] if machine is v2 else [root / name for name in (*V1, "unified") if (root / name).exists()]
    assert files == [hierarchy / "kyma-lab/target/system/cgroup.procs" for hierarchy in mounted]
    assert all(file.exists() for file in files)
    Cgroup("client", root).create()
    assert cgroups.names(root) == {"target", "client"}
    Cgroup("target", root).remove()
    assert cgroups.names(root) == {"client"}
    Cgroup("client", root).remove()
    assert tree(root) == before
    Cgroup("client", root).remove()
    assert kernel.written  # it was not the real one's doing


@MACHINES
def test_cgroup_is_created_twice_without_a_change(
    machine: Callable[[Path], Path], kernel: Kernel, tmp_path: Path
) -> None:
    root = machine(tmp_path)
    before = tree(root)
    files = Cgroup("target", root).create()
    once = tree(root)
    assert Cgroup("target", root).create() == files
    assert tree(root) == once
    Cgroup("target", root).remove()
    assert tree(root) == before
    assert kernel.written


@MACHINES
def test_processes_are_those_of_all_children(machine: Callable[[Path], Path], kernel: Kernel, tmp_path: Path) -> None:
    cgroup = Cgroup("target", machine(tmp_path))
    assert cgroup.processes() == set()
    (file, *_) = cgroup.create()
    file.write_text("17\n23\n")
    kernel.mkdir(pod := file.parents[1] / "pod")
    (pod / "cgroup.procs").write_text("42\n")
    assert cgroup.processes() == {17, 23, 42}
    assert Cgroup("client", tmp_path).processes() == set()


@pytest.mark.parametrize(("error", "raised"), [(errno.ENOENT, False), (errno.ENODEV, False), (errno.EACCES, True)])
def test_cgroup_that_goes_while_it_is_read_has_no_processes(
    error: int, raised: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(_: Path) -> str:
        raise OSError(error, os.strerror(error))

    (tmp_path / "kyma-lab/target").mkdir(parents=True)
    root = v2(tmp_path)
    monkeypatch.setattr(Path, "read_text", fail)
    with pytest.raises(OSError, match="Permission denied") if raised else nullcontext():
        assert Cgroup("target", root).processes() == set()


@pytest.mark.usefixtures("kernel")
def test_v1_cpuset_of_a_sandbox_takes_processes(tmp_path: Path) -> None:
    Cgroup("target", v1(tmp_path)).create()
    for name in ("kyma-lab", "kyma-lab/target", "kyma-lab/target/system"):
        assert (tmp_path / "cpuset" / name / "cpuset.cpus").read_text() == "0-3\n"
        assert (tmp_path / "cpuset" / name / "cpuset.mems").read_text() == "0\n"


@pytest.mark.usefixtures("kernel")
def test_v2_sandbox_has_the_controllers_of_a_kubelet(tmp_path: Path) -> None:
    cgroup = Cgroup("target", v2(tmp_path))
    cgroup.create()
    assert words(tmp_path / "kyma-lab/target/cgroup.controllers") == {"cpu", "cpuset", "hugetlb", "memory", "pids"}
    assert words(tmp_path / "kyma-lab/target/cgroup.subtree_control") == {"cpu", "cpuset", "hugetlb", "memory", "pids"}
    assert (tmp_path / "kyma-lab/target/system/cgroup.subtree_control").read_text() == ""
    assert cgroup.lacking() == []


def test_v2_controller_that_is_refused_spares_the_others(kernel: Kernel, tmp_path: Path) -> None:
    kernel.refused = {"cpu"}
    cgroup = Cgroup("target", v2(tmp_path, enabled=""))
    cgroup.create()
    assert words(tmp_path / "kyma-lab/target/cgroup.controllers") == {"cpuset", "hugetlb", "memory", "pids"}
    assert cgroup.lacking() == ["cpu"]


@pytest.mark.usefixtures("kernel")
def test_controller_that_the_machine_lacks_is_not_missed(tmp_path: Path) -> None:
    cgroup = Cgroup("target", v2(tmp_path, "cpu memory pids"))
    cgroup.create()
    assert cgroup.lacking() == []


def test_controllers_at_the_root_are_those_of_before_while_others_use_some(kernel: Kernel, tmp_path: Path) -> None:
    cgroup = Cgroup("target", v2(tmp_path))
    cgroup.create()
    kernel.mkdir(tmp_path / "system.slice")
    kernel.write(tmp_path / "cgroup.subtree_control", "+io")
    kernel.write(tmp_path / "system.slice/cgroup.subtree_control", "+pids")
    cgroup.remove()
    assert words(tmp_path / "cgroup.subtree_control") == {"cpu", "memory", "io", "pids"}


def test_hybrid_machine_keeps_the_controllers_of_its_v2_hierarchy(kernel: Kernel, tmp_path: Path) -> None:
    Cgroup("target", hybrid(tmp_path)).create()
    assert not [file for file, _ in kernel.written if "unified" in file.parts]


def test_cgroup_with_a_process_that_stays_is_an_error(kernel: Kernel, tmp_path: Path) -> None:
    cgroup = Cgroup("target", v2(tmp_path))
    (file,) = cgroup.create()
    file.write_text("17\n")
    with pytest.raises(LabError, match=r"kyma-lab/target/system cannot be removed: something uses it"):
        cgroup.remove()
    assert kernel.written


def test_machine_without_cgroups_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LabError, match=f"no cgroups are mounted in {tmp_path}: "):
        Cgroup("target", tmp_path).create()
    assert Cgroup("target", tmp_path / "none").processes() == set()
    Cgroup("target", tmp_path / "none").remove()


def test_cgroups_that_are_read_only_are_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(directory: Path) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(directory))

    monkeypatch.setattr(cgroups, "_mkdir", refuse)
    with pytest.raises(LabError, match=r"/kyma-lab cannot be written \(Read-only file system\): the lab needs cgroups"):
        Cgroup("target", v2(tmp_path)).create()
