"""A need of the lab that is not met is one clear line before anything is built or started."""

import os
import platform
import shutil
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import IO, ClassVar

import pytest

from lab import network, owner, paths, preflight, rootfs
from lab.errors import LabError
from lab.sandbox import Root


class Trial:
    """A sandbox that prints `said` and ends with `code`."""

    code = 0
    said = ""
    lacking: ClassVar[list[str]] = []
    running = 0

    def __init__(self, name: str, namespace: str) -> None:
        assert name == namespace == f"trial-{os.getpid()}"

    def start_in_root(self, root: Root, command: list[str], output: IO[bytes]) -> SimpleNamespace:
        assert (root.lower / "proc").is_dir()
        assert command[0] == "sh"
        Trial.running += 1
        output.write(self.said.encode())
        return SimpleNamespace(wait=lambda: self.code)

    def lacking_controllers(self) -> list[str]:
        return self.lacking

    def end(self) -> None:
        Trial.running -= 1


@pytest.fixture(autouse=True)
def _able_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda program: f"/usr/bin/{program}")
    monkeypatch.setattr(rootfs, "codename", lambda: "bookworm")
    monkeypatch.setattr(rootfs, "sources", list)
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(paths, "cache_dir", lambda: tmp_path)
    monkeypatch.setattr(preflight, "CHECKOUT", Path("/src/kyma-mtls"))
    monkeypatch.setattr(network, "trial", nullcontext)
    monkeypatch.setattr(owner, "alone", nullcontext)
    monkeypatch.setattr(preflight, "Sandbox", Trial)
    for name, value in {"code": 0, "said": "", "lacking": [], "running": 0}.items():
        monkeypatch.setattr(Trial, name, value)


def message() -> str:
    with pytest.raises(LabError) as caught:
        preflight.check()
    assert "\n" not in str(caught.value)
    assert 'With two clusters of your own you need no lab: see "Your own clusters"' in str(caught.value)
    return str(caught.value)


def test_the_lab_needs_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert message().startswith("the lab makes namespaces and mounts: run it as root.")


def test_the_lab_needs_debian(monkeypatch: pytest.MonkeyPatch) -> None:
    def other() -> str:
        raise LabError("the lab runs on Debian; this is Fedora")

    monkeypatch.setattr(rootfs, "codename", other)
    assert message().startswith("the lab runs on Debian; this is Fedora.")


def test_missing_programs_are_named_by_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda program: None if program in {"ip", "nsenter"} else program)
    assert "run `apt-get install iproute2 util-linux`" in message()


@pytest.mark.parametrize(("clusters", "said"), [(1, "1 cluster, the lab needs 3"), (4, "4 clusters, the lab needs 12")])
def test_free_disk_is_needed_for_every_cluster(monkeypatch: pytest.MonkeyPatch, clusters: int, said: str) -> None:
    monkeypatch.setattr(preflight, "MEMORY_GIB", 0)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(2**40, 2**40 - 2**30, 2**30))
    with pytest.raises(LabError, match=rf"to boot {said} GiB in .*, 1.0 GiB are free: .*KYMA_MTLS_CACHE"):
        preflight.check_free(clusters)


def test_free_memory_is_needed_for_every_cluster() -> None:
    with pytest.raises(LabError, match=r"to boot 9999 clusters, the lab needs \d+ GiB of memory, [\d.]+ GiB are avail"):
        preflight.check_free(9999)


def test_able_machine_is_accepted_and_left_as_it_was(tmp_path: Path) -> None:
    preflight.check()
    assert Trial.running == 0
    assert list(tmp_path.iterdir()) == []


def test_lab_needs_x86(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert message().startswith("this machine is aarch64: the lab's programs and images are for x86-64 only.")


def test_lab_needs_apt_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> list[str]:
        raise LabError("apt has no source for Debian")

    monkeypatch.setattr(rootfs, "sources", none)
    assert message().startswith("apt has no source for Debian.")


@pytest.mark.parametrize("taken", [":", ",", "\\"])
def test_paths_that_mounts_cannot_name_are_refused(taken: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(preflight, "CHECKOUT", Path(f"/src/a{taken}b"))
    assert message().startswith(f"/src/a{taken}b has a {taken} in its name, which mounts and PATH use otherwise: move")
    monkeypatch.setattr(preflight, "CHECKOUT", Path("/src"))
    monkeypatch.setattr(paths, "cache_dir", lambda: tmp_path / f"a{taken}b")
    assert "in its name, which mounts and PATH use otherwise: name another directory in KYMA_MTLS_CACHE" in message()


def test_cache_that_cannot_be_written_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(paths, "cache_dir", lambda: tmp_path / "file/cache")
    assert message().startswith(f"{tmp_path}/file/cache cannot be written (Not a directory): name another directory in")


def test_sandbox_that_does_not_start_is_told_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Trial, "code", 1)
    monkeypatch.setattr(Trial, "said", "first\nunshare: unshare failed: Operation not permitted\n")
    assert message().startswith(
        "a sandbox cannot be started here (unshare: unshare failed: Operation not permitted): "
        "the lab needs a machine, or a virtual one, where root may make namespaces and mounts."
    )
    assert Trial.running == 0


def test_cache_on_a_disk_that_takes_no_overlay_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Trial, "code", 32)
    monkeypatch.setattr(Trial, "said", "mount: /x: wrong fs type, bad option, bad superblock on overlay, missing\n")
    said = message()
    assert f"{tmp_path} is on " in said
    assert "name a directory on a disk with ext4, xfs or btrfs in KYMA_MTLS_CACHE" in said


def test_controllers_that_a_kubelet_would_miss_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Trial, "lacking", ["cpu", "pids"])
    assert message().startswith("the cgroup controllers cpu, pids cannot be passed on to the lab")
