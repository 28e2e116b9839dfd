"""The rules by which the toolchain decides what to build, what to keep and when to refuse."""

import re
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest
from rich.console import Console

from lab import toolchain
from lab.errors import LabError
from lab.toolchain import Part

GO = Path("/opt/go/bin/go")
TABLES = """
[one]
minutes = 1
peak = {peak}
kept = 0.1
[one-more]
minutes = 1
peak = 0.1
kept = 0.1
[optional]
optional = true
minutes = 1
peak = 0.1
kept = 0.1
"""


class Factory:
    """Stands in for the fetching of wheels: remembers what it made, and fails when told to."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.broken = False

    def __call__(self, part: Part, _work: Path, out: Path, _log: IO[str]) -> None:
        (out / f"{part.name}-program").write_text("half")
        if self.broken:
            raise KeyboardInterrupt
        self.made.append(part.name)


@pytest.fixture
def factory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Factory:
    """Three parts and an empty cache, away from the real ones."""
    parts = tmp_path / "parts"
    for name in ("one", "one-more", "optional"):
        (parts / name).mkdir(parents=True)
        (parts / name / "requirements.txt").write_text(f"{name}==1\n")
    (parts / "parts.toml").write_text(TABLES.format(peak=0.1))
    made = Factory()
    monkeypatch.setenv("KYMA_MTLS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(toolchain, "PARTS", parts)
    monkeypatch.setattr(toolchain, "_go_on_path", lambda: GO)
    monkeypatch.setattr(toolchain, "_go_version", lambda _: "go1.26.0")
    monkeypatch.setattr(toolchain, "_official_cli", dict)
    monkeypatch.setattr(toolchain, "_install_plugins", lambda _: None)
    monkeypatch.setattr(toolchain, "_fetch_wheel", made)
    return made


@pytest.fixture
def ensure(factory: Factory) -> Callable[[], toolchain.Toolchain]:
    del factory
    return lambda: toolchain.ensure(Console(quiet=True))


def homes() -> list[str]:
    return sorted(path.name for path in (toolchain.cache_dir() / "parts").iterdir())


def test_a_second_call_builds_nothing(factory: Factory, ensure: Callable[[], toolchain.Toolchain]) -> None:
    assert ensure() == ensure()
    assert factory.made == ["one", "one-more"]


def test_an_optional_part_is_built_by_name_only_and_then_kept(
    factory: Factory, ensure: Callable[[], toolchain.Toolchain]
) -> None:
    assert "optional-program" not in ensure().programs
    assert toolchain.optional_parts() == ["optional"]
    assert "optional-program" in toolchain.ensure(Console(quiet=True), ["optional"]).programs
    assert factory.made == ["one", "one-more", "optional"]
    assert (ensure().bin / "optional-program").exists(), "it stays at hand"


def test_every_program_is_linked_in_one_folder(ensure: Callable[[], toolchain.Toolchain]) -> None:
    made = ensure()
    assert (made.bin / "one-program").samefile(made.programs["one-program"])


def test_a_changed_part_is_built_again_and_only_its_old_build_goes(
    factory: Factory, ensure: Callable[[], toolchain.Toolchain]
) -> None:
    ensure()
    before = homes()
    (toolchain.PARTS / "one" / "requirements.txt").write_text("one==2\n")
    made = ensure()
    assert factory.made == ["one", "one-more", "one"]
    assert len(homes()) == len(before), "the old build of `one` should have gone"
    assert set(homes()) & set(before) == {made.programs["one-more-program"].parent.name}, "a longer name is not a match"
    assert (made.bin / "one-program").samefile(made.programs["one-program"]), "the link should be the new build"


def test_an_interrupted_build_leaves_nothing_and_the_next_call_goes_on(
    factory: Factory, ensure: Callable[[], toolchain.Toolchain]
) -> None:
    factory.broken = True
    with pytest.raises(KeyboardInterrupt):
        ensure()
    assert homes() == []
    factory.broken = False
    ensure()
    assert factory.made == ["one", "one-more"]


def test_what_a_killed_build_left_is_swept_and_not_taken_for_whole(
    factory: Factory, ensure: Callable[[], toolchain.Toolchain]
) -> None:
    left = toolchain.cache_dir() / "parts" / f"{toolchain.BUILDING}killed"
    (left / "out").mkdir(parents=True)
    ensure()
    assert not left.exists()
    assert factory.made == ["one", "one-more"]


def test_a_failed_build_names_the_part_and_its_log(
    ensure: Callable[[], toolchain.Toolchain], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(part: Part, _work: Path, _out: Path, log: IO[str]) -> None:
        del part
        toolchain._run(["sh", "-c", "echo no such module >&2; exit 1"], log)

    monkeypatch.setattr(toolchain, "_fetch_wheel", fail)
    with pytest.raises(LabError, match=r"Building one failed: read .*/logs/one\.log") as failure:
        ensure()
    assert "\n" not in str(failure.value)
    assert "no such module" in (toolchain.cache_dir() / "logs" / "one.log").read_text()


def test_too_little_disk_is_said_before_anything_is_built(
    factory: Factory, ensure: Callable[[], toolchain.Toolchain]
) -> None:
    (toolchain.PARTS / "parts.toml").write_text(TABLES.format(peak=10**9))
    with pytest.raises(LabError, match=r"needs 1000000000\.2 GiB in .*, where .* GiB are free") as refusal:
        ensure()
    assert "\n" not in str(refusal.value)
    assert factory.made == []


def test_purge_gives_back_what_ensure_took(ensure: Callable[[], toolchain.Toolchain]) -> None:
    ensure()
    toolchain.purge()
    assert list(toolchain.cache_dir().iterdir()) == []


def test_the_key_follows_what_a_build_depends_on_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toolchain, "PARTS", tmp_path)
    (tmp_path / "part").mkdir()
    module = tmp_path / "part" / "go.mod"
    module.write_text("module part\n\nrequire example.org/tool v1.2.3\n")
    table = {"minutes": 1, "ldflags": " -X main.version={example.org/tool}"}
    first = Part("part", table, "go1.26.0")
    assert first.linker_flags.endswith(" -X main.version=v1.2.3"), "the version is the one that go.mod pins"
    assert Part("part", table | {"minutes": 2}, "go1.26.0").key == first.key, "an estimate is no input"
    assert Part("part", table, "go1.26.1").key != first.key, "another Go makes another program"
    assert Part("part", table | {"rename": {"a": "b"}}, "go1.26.0").key != first.key
    assert Part("part", table | {"ldflags": ""}, "go1.26.0").key != first.key
    module.write_text(module.read_text().replace("v1.2.3", "v1.2.4"))
    assert Part("part", table, "go1.26.0").key != first.key


def test_the_users_go_settings_do_not_change_a_build(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GOFLAGS", "GOCACHE", "GOARCH", "CGO_ENABLED", "GOPROXY"):
        monkeypatch.setenv(name, "mine")
    environment = toolchain._go_environment()
    assert "mine" not in {environment.get(name) for name in ("GOFLAGS", "GOCACHE", "GOARCH", "CGO_ENABLED")}
    assert environment["GOPROXY"] == "mine", "how modules are reached is the user's to say"


@pytest.mark.parametrize(("version", "used"), [("pinned", True), ("v3.0.0", False)])
def test_an_official_cli_is_used_in_the_pinned_version_only(
    version: str, used: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = f"v{toolchain.pins()['pulumi']}" if version == "pinned" else version
    for name in ("pulumi", "pulumi-language-python"):
        (tmp_path / name).write_text(f"#!/bin/sh\necho {said}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert bool(toolchain._official_cli()) is used


def test_our_own_cli_is_not_taken_for_the_official_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KYMA_MTLS_CACHE", str(tmp_path))
    monkeypatch.setattr(shutil, "which", lambda _: str(tmp_path / "parts" / "pulumi-0" / "pulumi"))
    assert toolchain._official_cli() == {}


def test_official_plugins_spare_their_part_only_when_all_of_it_is_there(
    factory: Factory, ensure: Callable[[], toolchain.Toolchain], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toolchain, "PLUGIN_PARTS", {"tls": "one", "random": "one", "kubernetes": "one-more"})
    for name in ("tls", "kubernetes"):
        toolchain._plugin(name).parent.mkdir(parents=True)
        toolchain._plugin(name).touch()
    ensure()
    assert factory.made == ["one"], "random is still needed; kubernetes is not"


def test_every_part_has_a_folder_with_pins_and_a_table() -> None:
    tables = tomllib.loads((toolchain.PARTS / "parts.toml").read_text())
    folders = {path.name: path for path in toolchain.PARTS.iterdir() if path.is_dir()}
    assert set(tables) == set(folders)
    for name, folder in folders.items():
        sums, wheel = folder / "go.sum", folder / "requirements.txt"
        assert sums.exists() or "--hash=sha256:" in wheel.read_text(), f"{name} is not pinned by hash"
        assert {"minutes", "peak", "kept"} <= set(tables[name]), f"{name} says not what it takes"


def test_the_engine_is_the_one_that_the_program_was_written_for() -> None:
    module = (toolchain.PARTS / "pulumi" / "go.mod").read_text()
    pinned = re.search(r"github\.com/pulumi/pulumi/pkg/v3 v(\S+)", module)
    assert pinned
    assert pinned[1] == toolchain.pins()["pulumi"]


def test_the_parts_of_kubernetes_are_of_one_release() -> None:
    module = (toolchain.PARTS / "kubernetes" / "go.mod").read_text()
    minor = re.search(r"k8s\.io/kubernetes v1(\.\d+\.\d+)", module)
    assert minor
    staged = set(re.findall(r"^\s*(?:replace )?k8s\.io/\S+ => k8s\.io/\S+ v0(\S+)$", module, re.M))
    assert staged == {minor[1]}
