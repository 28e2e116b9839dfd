"""Parts that are built in parallel, with caches that they share."""

import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import pytest
from rich.console import Console

from lab import builder, part
from lab.errors import LabError
from lab.jobs import Job
from lab.part import Part
from lab.paths import parts_dir
from lab.processes import Processes

GO = Path("/opt/go/bin/go")
TABLE = {"minutes": 1, "peak": 0.1, "kept": 0.1}


class Go:
    """Stands in for the go command: caches one package a part. The part `broken` fails, the rest waits for `go_on`."""

    def __init__(self) -> None:
        self.seen: dict[str, list[str]] = {}
        self.broken = ""
        self.go_on = threading.Event()
        self.go_on.set()

    def run(self, processes: Processes, command: Sequence[str], cwd: Path, env: dict[str, str]) -> str:
        name = (cwd / "go.mod").read_text().split()[1]
        if name != self.broken:
            self.go_on.wait(10)
        if name == self.broken or processes.are_over:
            raise subprocess.CalledProcessError(1, command)
        cache = Path(env["GOCACHE"])
        cache.mkdir(exist_ok=True)
        self.seen[name] = sorted(path.name for path in cache.iterdir())
        (cache / name).write_text(name)
        Path(command[command.index("-o") + 1], name).touch()
        return ""


@pytest.fixture
def go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Go:
    """Set up three Go modules and an empty cache."""
    for name in ("one", "two", "three"):
        (tmp_path / "parts" / name).mkdir(parents=True)
        (tmp_path / "parts" / name / "go.mod").write_text(f"module {name}\n")
    monkeypatch.setenv("KYMA_MTLS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(part, "PARTS", tmp_path / "parts")
    parts_dir().mkdir(parents=True)
    made = Go()

    def run(processes: Processes, command: Sequence[str], log: IO[str], cwd: Path, env: dict[str, str]) -> str:
        del log
        return made.run(processes, command, cwd, env)

    monkeypatch.setattr(Processes, "run", run)
    return made


def module(name: str, *after: str) -> Part:
    return Part(name, TABLE | {"after": after}, "go1.26.0")


def build(*parts: Part) -> None:
    builder.build(parts, GO, Console(quiet=True))


def built() -> list[str]:
    return sorted(path.name.rsplit("-", 1)[0] for path in parts_dir().iterdir())


def test_part_takes_packages_of_those_before_it_from_caches_that_are_removed_at_the_end(go: Go) -> None:
    build(module("three", "two"), module("one"), module("two", "one"))
    assert go.seen == {"one": [], "two": ["one"], "three": ["one", "two"]}
    assert built() == ["one", "three", "two"], "nothing else should be left"


def test_part_does_not_wait_for_one_that_is_there_already(go: Go) -> None:
    build(module("two", "one"))
    assert go.seen == {"two": []}


def test_failed_part_leaves_finished_parts_and_no_caches(go: Go) -> None:
    go.broken = "two"
    with pytest.raises(LabError, match="Building two failed"):
        build(module("one"), module("two", "one"), module("three", "two"))
    assert built() == ["one"]


def test_failed_part_ends_the_one_beside_it(go: Go, monkeypatch: pytest.MonkeyPatch) -> None:
    go.broken = "two"
    go.go_on.clear()
    end = Processes.end

    def end_and_go_on(processes: Processes) -> None:
        end(processes)
        go.go_on.set()

    monkeypatch.setattr(Processes, "end", end_and_go_on)
    with pytest.raises(LabError, match="Building two failed"):
        build(module("one"), module("two"), module("three"))
    assert built() == []


def test_caches_of_many_parts_need_no_more_disk_than_those_of_all(go: Go, monkeypatch: pytest.MonkeyPatch) -> None:
    del go
    large = TABLE | {"peak": 10**9}
    monkeypatch.setattr(builder, "CACHES_GIB", 0.1)
    build(*(Part(name, large, "go1.26.0") for name in ("one", "two")))
    assert built() == ["one", "two"]


def test_jobs_beside_the_parts_need_disk_of_their_own(go: Go, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builder, "BESIDE_GIB", 10**9)
    build(module("one"))
    with pytest.raises(LabError, match=r"needs 1000000000\.2 GiB"):
        builder.build([module("two")], GO, Console(quiet=True), [Job("images", 1, lambda: None, lambda: None)])
    assert list(go.seen) == ["one"]
