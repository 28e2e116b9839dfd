"""The rules by which the lab decides what to build, what to keep and when to refuse."""

import io
import subprocess
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

import pytest
from rich.console import Console

from lab import builder, images, owner, part, pulumi, rootfs, toolchain, workshop
from lab.errors import LabError
from lab.part import Part
from lab.paths import cache_dir, parts_dir
from lab.processes import Processes
from lab.toolchain import Toolchain
from lab.workshop import Workshop

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
[linter]
tool = true
minutes = 1
peak = 0.1
kept = 0.1
"""


class BuildSandbox:
    """Stands in for the machine's sandbox for builds, in which a killed command left processes."""

    def __init__(self) -> None:
        self.is_alive = True

    def end(self) -> None:
        self.is_alive = False


class Factory:
    """Stands in for the fetching of wheels, and for what makes file systems and images; fails if it is broken."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.file_systems: list[str] = []
        self.images: list[list[str]] = []
        self.broken = False
        self.sandbox = BuildSandbox()

    def __call__(self, part: Part, _work: Path, out: Path, _log: IO[str]) -> None:
        (out / f"{part.name}-program").write_text("half")
        if self.broken:
            raise KeyboardInterrupt
        self.made.append(part.name)

    def make_file_system(self, name: str, *_: object) -> None:
        assert not self.sandbox.is_alive, "processes of a killed command should have been ended"
        self.file_systems.append(name)


@pytest.fixture
def factory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Factory:
    """Set up four parts and an empty cache, away from the real ones."""
    parts = tmp_path / "parts"
    for name in ("one", "one-more", "optional", "linter"):
        (parts / name).mkdir(parents=True)
        (parts / name / "requirements.txt").write_text(f"{name}==1\n")
    (parts / "parts.toml").write_text(TABLES.format(peak=0.1))
    made = Factory()
    monkeypatch.setenv("KYMA_MTLS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(part, "PARTS", parts)
    monkeypatch.setattr(workshop, "go_on_path", lambda: GO)
    monkeypatch.setattr(workshop, "go_version", lambda _: "go1.26.0")
    monkeypatch.setattr(Workshop, "_fetch_wheel", lambda _, *given: made(*given))
    monkeypatch.setattr(rootfs, "BUILD", made.sandbox)
    monkeypatch.setattr(rootfs, "ensure", made.make_file_system)
    monkeypatch.setattr(images, "PARTS", {"one-more"})
    monkeypatch.setattr(images, "ensure", lambda programs, *_: made.images.append(sorted(programs)))
    monkeypatch.setattr(owner, "PLACE", tmp_path / "run")
    monkeypatch.setattr(pulumi, "official_cli", dict)
    monkeypatch.setattr(pulumi, "install_plugins", lambda _: None)
    return made


@pytest.fixture
def ensure(factory: Factory) -> Callable[[], Toolchain]:
    del factory
    return lambda: toolchain.ensure(Console(quiet=True))


def homes() -> list[str]:
    return sorted(path.name for path in parts_dir().iterdir())


def test_second_call_builds_nothing(factory: Factory, ensure: Callable[[], Toolchain]) -> None:
    assert ensure() == ensure()
    assert sorted(factory.made) == ["one", "one-more"]


def test_optional_part_is_built_by_name_only_and_then_kept(factory: Factory, ensure: Callable[[], Toolchain]) -> None:
    assert "optional-program" not in ensure().programs
    assert toolchain.optional_parts() == ["optional"]
    assert "optional-program" in toolchain.ensure(Console(quiet=True), ["optional"]).programs
    assert sorted(factory.made) == ["one", "one-more", "optional"]
    assert (ensure().bin / "optional-program").exists(), "it should stay"


def test_tool_is_built_alone_and_has_nothing_to_do_with_the_lab(
    factory: Factory, ensure: Callable[[], Toolchain]
) -> None:
    assert toolchain.tools() == ["linter"]
    paths = [toolchain.tool(Console(quiet=True), "linter") for _ in range(2)]
    assert factory.made == ["linter"]
    assert paths[0] == paths[1]
    assert paths[0].name == "linter"
    assert list(ensure().programs) == ["one-program", "one-more-program"]
    assert paths[0].parent.exists(), "it stays"


def test_file_systems_and_images_are_made_beside_missing_parts(
    factory: Factory, ensure: Callable[[], Toolchain]
) -> None:
    ensure()
    assert factory.file_systems == ["node", "image", "node"]
    assert factory.images == [["one-more-program"]], "of the programs that are copied into images"
    ensure()
    assert len(factory.images) == 1, "nothing is missing"


def test_file_systems_and_images_are_left_to_up_while_another_command_changes_the_lab(
    factory: Factory,
) -> None:
    output = io.StringIO()
    with owner.alone(Console(quiet=True)):
        toolchain.ensure(Console(file=output, width=200))
    assert sorted(factory.made) == ["one", "one-more"]
    assert not factory.file_systems
    assert not factory.images
    assert factory.sandbox.is_alive, "it may be the other command's"
    for name in ("file systems", "images"):
        assert f"\n{name}: left to `python -m lab up`: another command changes the lab\n" in output.getvalue()


def test_browser_is_made_by_name_only_and_once(
    factory: Factory, ensure: Callable[[], Toolchain], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rootfs, "is_made", lambda name: name in factory.file_systems)
    ensure()
    factory.sandbox.is_alive = True
    assert rootfs.BROWSER not in factory.file_systems
    for _ in range(2):
        toolchain.ensure(Console(quiet=True), [rootfs.BROWSER])
    assert factory.file_systems.count(rootfs.BROWSER) == 1


def test_browser_is_left_out_while_another_command_changes_the_lab(
    factory: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rootfs, "is_made", lambda _: False)
    output = io.StringIO()
    with owner.alone(Console(quiet=True)):
        toolchain.ensure(Console(file=output, width=200), [rootfs.BROWSER])
    assert not factory.file_systems
    assert "\nbrowser: left out: another command changes the lab; run this again\n" in output.getvalue()


def test_end_of_a_job_in_the_sandbox_ends_its_commands_outside_the_sandbox(factory: Factory, tmp_path: Path) -> None:
    def work(processes: Processes) -> None:
        begun.set()
        with (tmp_path / "log").open("w") as log:
            processes.run(["sleep", "100"], log)

    begun = threading.Event()
    job = toolchain._InSandbox(work)
    with ThreadPoolExecutor() as pool:
        run = pool.submit(job.run)
        assert begun.wait(10)
        factory.sandbox.is_alive = True
        job.end()
        assert isinstance(run.exception(10), (subprocess.CalledProcessError, LabError))
    assert not factory.sandbox.is_alive


def test_part_with_official_program_is_not_built(
    factory: Factory, ensure: Callable[[], Toolchain], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulumi, "unneeded_parts", lambda cli: set() if cli else {"one"})
    assert list(ensure().programs) == ["one-more-program"]
    assert factory.made == ["one-more"]


def test_every_program_is_linked_in_one_folder(ensure: Callable[[], Toolchain]) -> None:
    made = ensure()
    assert (made.bin / "one-program").samefile(made.programs["one-program"])


def test_changed_part_is_rebuilt_and_only_its_old_build_removed(
    factory: Factory, ensure: Callable[[], Toolchain]
) -> None:
    ensure()
    before = homes()
    (part.PARTS / "one" / "requirements.txt").write_text("one==2\n")
    made = ensure()
    assert sorted(factory.made) == ["one", "one", "one-more"]
    assert len(homes()) == len(before), "the old build of `one` should have been removed"
    assert set(homes()) & set(before) == {made.programs["one-more-program"].parent.name}, "a longer name is not a match"
    assert (made.bin / "one-program").samefile(made.programs["one-program"]), "the link should be the new build"


def test_interrupted_build_leaves_nothing_and_next_call_continues(
    factory: Factory, ensure: Callable[[], Toolchain]
) -> None:
    factory.broken = True
    with pytest.raises(KeyboardInterrupt):
        ensure()
    assert homes() == []
    factory.broken = False
    ensure()
    assert sorted(factory.made) == ["one", "one-more"]


def test_leftover_of_killed_build_is_removed_and_not_used(factory: Factory, ensure: Callable[[], Toolchain]) -> None:
    left = parts_dir() / f"{builder.BUILDING}killed"
    (left / "out").mkdir(parents=True)
    ensure()
    assert not left.exists()
    assert sorted(factory.made) == ["one", "one-more"]


def test_failed_build_names_part_and_log(ensure: Callable[[], Toolchain], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(shop: Workshop, _part: Part, _work: Path, _out: Path, log: IO[str]) -> None:
        shop.processes.run(["sh", "-c", "echo no such module >&2; exit 1"], log)

    monkeypatch.setattr(Workshop, "_fetch_wheel", fail)
    with pytest.raises(LabError, match=r"Building (one|one-more) failed: see .*/logs/\1\.log") as failure:
        ensure()
    assert "\n" not in str(failure.value)
    logs = (cache_dir() / "logs").glob("*.log")
    assert any("no such module" in log.read_text() for log in logs)


def test_too_little_disk_is_refused_before_anything_is_built(
    factory: Factory, ensure: Callable[[], Toolchain], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(builder, "CACHES_GIB", 10**9)
    (part.PARTS / "parts.toml").write_text(TABLES.format(peak=10**9))
    with pytest.raises(LabError, match=r"needs 1000000002\.7 GiB in .*, where .* GiB are free") as refusal:
        ensure()
    assert "\n" not in str(refusal.value)
    assert factory.made == []


def test_purge_removes_everything_that_ensure_made_except_its_lock(ensure: Callable[[], Toolchain]) -> None:
    ensure()
    toolchain.purge()
    assert list(cache_dir().iterdir()) == [cache_dir() / "lock"]
