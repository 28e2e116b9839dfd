"""The lab's container images: what they are made of, and when."""

import subprocess
from pathlib import Path
from typing import IO

import pytest
from rich.console import Console

from lab import images, rootfs
from lab.errors import LabError
from lab.part import tables
from lab.processes import Processes
from lab.sandbox import Root, Sandbox

PROGRAMS = [name for line in images.PROGRAMS for name in line.split()]


def test_every_image_and_program_of_the_containerfile_is_found() -> None:
    assert images.NAMES == ["pause", "curl", "httpbin", "coredns", "pilot", "proxyv2"]
    assert set(tables()) >= images.PARTS
    assert PROGRAMS == ["go-httpbin", "coredns", "pilot-discovery", "envoy", "pilot-agent", "envoy_bootstrap.json"]


def test_images_are_built_once_for_the_same_programs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KYMA_MTLS_CACHE", str(tmp_path))
    monkeypatch.setattr(rootfs, "ensure", lambda *_: tmp_path / "debian-image-1/root")
    built: list[Path] = []

    def build(directory: Path, *_: object) -> None:
        (directory / "work/containerd").mkdir(parents=True)
        built.append(directory)

    monkeypatch.setattr(images, "_build", build)

    def ensure(version: str) -> Path:
        programs = {name: tmp_path / f"parts/{name}-{version}/{name}" for name in PROGRAMS}
        return images.ensure(programs, tmp_path / "root", Console(quiet=True))

    first = ensure("1")
    assert ensure("1") == first
    assert len(built) == 1
    assert ensure("2") != first
    assert len(built) == 2
    assert not list(first.parent.glob("work"))


def test_sweep_keeps_what_is_in_use(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(rootfs, "directory_of", lambda name: tmp_path / f"debian-{name}-1")
    for name in ("images-1", "images-2", "debian-node-1", "debian-node-2", "debian-image-1", "debian-browser-1"):
        (tmp_path / name / "root").mkdir(parents=True)
    monkeypatch.setattr(rootfs, "ensure", lambda *_: tmp_path / "debian-image-1/root")
    images.sweep(tmp_path / "images-2/containerd", tmp_path / "debian-node-2/root", Console(quiet=True))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "debian-browser-1",
        "debian-image-1",
        "debian-node-2",
        "images-2",
    ]


def test_build_that_fails_is_one_line_with_the_log(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def run(_sandbox: Sandbox, _root: Root, _command: list[str], log: IO[bytes]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(["sh", "-c", "echo much; echo no space left; exit 1"], stdout=log)

    monkeypatch.setattr(Sandbox, "start_in_root", run)
    monkeypatch.setattr(Sandbox, "end", lambda _: None)
    (tmp_path / "base").mkdir()
    with pytest.raises(LabError) as failed:
        images._build(tmp_path, tmp_path / "node", tmp_path / "base", {}, Processes())
    assert str(failed.value) == f"buildah failed: no space left (log: {tmp_path}/log)"
    with pytest.raises(
        LabError, match=r"tar failed: .*No such file or directory|tar failed: tar: Error is not recover"
    ):
        images._build(tmp_path / "again", tmp_path / "node", tmp_path / "missing", {}, Processes())
