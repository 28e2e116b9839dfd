"""How parts are built side by side: their environment, and the caches that they share."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import pytest
from rich.console import Console

from lab import builder, part
from lab.errors import LabError
from lab.part import Part
from lab.paths import parts_dir

TABLE = {"minutes": 1, "peak": 0.1, "kept": 0.1}


class Go:
    """Stands in for the go command: caches one package a part, and fails for a part when told to."""

    def __init__(self) -> None:
        self.seen: dict[str, list[str]] = {}
        self.broken = ""

    def __call__(self, command: Sequence[str], _log: IO[str], cwd: Path, env: dict[str, str]) -> str:
        name = (cwd / "go.mod").read_text().split()[1]
        if name == self.broken:
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
    monkeypatch.setattr(builder, "_run", made)
    return made


def build(*parts: Part) -> None:
    builder.build(parts, Path("/opt/go/bin/go"), Console(quiet=True))


def built() -> list[str]:
    return sorted(path.name.rsplit("-", 1)[0] for path in parts_dir().iterdir())


def test_parts_share_caches_that_are_removed_at_the_end(go: Go) -> None:
    build(Part("one", TABLE, "go1.26.0"), Part("two", TABLE, "go1.26.0"))
    assert go.seen == {"one": [], "two": ["one"]}
    assert built() == ["one", "two"], "nothing else should be left"


def test_failed_part_leaves_finished_parts_and_no_caches(go: Go) -> None:
    go.broken = "two"
    with pytest.raises(LabError, match="Building two failed"):
        build(*(Part(name, TABLE, "go1.26.0") for name in ("one", "two", "three")))
    assert built() == ["one"]


def test_caches_are_emptied_before_part_that_might_exceed_limit(go: Go, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builder, "CACHES_GIB", 0.5)
    large = TABLE | {"peak": 0.5}
    build(Part("one", TABLE, "go1.26.0"), Part("two", TABLE, "go1.26.0"), Part("three", large, "go1.26.0"))
    assert go.seen == {"one": [], "two": ["one"], "three": []}


def test_go_settings_of_user_do_not_change_build(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GOFLAGS", "GOCACHE", "GOARCH", "CGO_ENABLED", "GOPROXY"):
        monkeypatch.setenv(name, "mine")
    environment = builder._go_environment()
    assert "mine" not in {environment.get(name) for name in ("GOFLAGS", "GOCACHE", "GOARCH", "CGO_ENABLED")}
    assert environment["GOPROXY"] == "mine", "how modules are reached is the user's choice"
