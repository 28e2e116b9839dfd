"""The programs that the lab runs: found on the machine, or built."""

import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from lab import builder, images, owner, pulumi, rootfs, workshop
from lab.jobs import Job
from lab.lock import only_one
from lab.part import Part, tables
from lab.paths import bin_dir, cache_dir, parts_dir, pulumi_home
from lab.processes import Processes

_WAITING = "Waiting for another process that builds the lab's programs"
_LEFT = "left to `python -m lab up`: another command changes the lab"
_BROWSER_LEFT = "left out: another command changes the lab; run this again"


@dataclass(frozen=True)
class Toolchain:
    """Programs and data files by name, the folder with links to them, and where Pulumi finds its plugins."""

    programs: dict[str, Path]
    bin: Path
    pulumi_home: Path


def ensure(console: Console, extras: Collection[str] = ()) -> Toolchain:
    """Build or fetch the missing programs, showing progress; returns at once if none is missing.

    Missing file systems and images are made beside them, on the core that a link or a download leaves idle.

    extras: optional parts to build as well, also `browser`, a file system; a part that was built before is included
        without being named.

    Raises LabError as `builder.build` does; the next call then continues where this one stopped.
    """
    with only_one(cache_dir() / "lock", _WAITING, console):
        parts_dir().mkdir(exist_ok=True)
        builder.sweep_killed()
        cli = pulumi.official_cli()
        if cli:
            pulumi.fetch_plugins(cli["pulumi"], console)
        go = workshop.go_on_path()
        parts = workshop.all_parts(go)
        unneeded = pulumi.unneeded_parts(cli)
        needed = [part for part in parts if part.name not in unneeded and _is_wanted(part, extras)]
        missing = [part for part in needed if not part.home.exists()]
        beside = _image_jobs(needed, console) if missing else []
        if rootfs.BROWSER in extras and not rootfs.is_made(rootfs.BROWSER):
            beside.append(_browser_job(console))
        if missing or beside:
            builder.build(missing, go or parts[0].home / "go/bin/go", console, beside)
        current = {part.home for part in parts}
        builder.sweep(lambda path: path not in current)
        programs = _programs(needed) | cli
        _link({name: path for name, path in programs.items() if not name.startswith("pulumi-resource-")})
        pulumi.install_plugins(programs)
        return Toolchain(programs, bin_dir(), pulumi_home())


def tool(console: Console, name: str) -> Path:
    """Return the program of a part that is a tool, and build that part alone if it is missing.

    Raises LabError as `builder.build` does.
    """
    with only_one(cache_dir() / "lock", _WAITING, console):
        parts_dir().mkdir(exist_ok=True)
        builder.sweep_killed()
        go = workshop.go_on_path()
        parts = workshop.all_parts(go)
        needed = [part for part in parts if part.name in ("go", name)]
        if missing := [part for part in needed if not part.home.exists()]:
            builder.build(missing, go or parts[0].home / "go/bin/go", console)
        return needed[-1].home / name


def optional_parts() -> list[str]:
    """Return the names of the parts that the lab itself does not need."""
    return [name for name, table in tables().items() if table.get("optional")]


def tools() -> list[str]:
    """Return the names of the parts that have nothing to do with the lab."""
    return [name for name, table in tables().items() if table.get("tool")]


def purge() -> None:
    """Remove everything that `ensure` keeps, except its lock; the caller holds it."""
    for folder in (parts_dir(), bin_dir(), pulumi_home(), cache_dir() / "logs"):
        shutil.rmtree(folder, ignore_errors=True)


def _is_wanted(part: Part, extras: Collection[str]) -> bool:
    return not part.is_tool and (not part.is_optional or part.name in extras or part.home.exists())


def _programs(parts: Sequence[Part]) -> dict[str, Path]:
    return {file.name: file for part in parts for file in part.home.iterdir() if file.is_file()}


def _image_jobs(parts: Sequence[Part], console: Console) -> list[Job]:
    """Return the jobs that make the lab's Debian file systems and, of these parts, its container images."""
    inside = [part for part in parts if part.name in images.PARTS]

    def make_file_systems(processes: Processes) -> None:
        for name in rootfs.NAMES:
            rootfs.ensure(name, console, processes)

    def make_images(processes: Processes) -> None:
        images.ensure(_programs(inside), rootfs.ensure("node", console, processes), console, processes)

    file_systems, archive = _InSandbox(make_file_systems), _InSandbox(make_images)
    first = Job("file systems", 0.7, file_systems.run, file_systems.end)
    return [first, Job("images", 0.3, archive.run, archive.end, {first.name, *images.PARTS})]


def _browser_job(console: Console) -> Job:
    """Return the job that makes the browser's file system: after the clusters', since there is one sandbox."""

    def make(processes: Processes) -> None:
        rootfs.ensure(rootfs.BROWSER, console, processes)

    work = _InSandbox(make, _BROWSER_LEFT)
    return Job(rootfs.BROWSER, 0.7, work.run, work.end, {"file systems", "images"})


class _InSandbox:
    """Work in the machine's one sandbox for builds; while another command changes the lab, the work is left undone.

    work: gets an object for the commands that run outside the sandbox, so that `end` ends them, too.
    left: says so.
    """

    def __init__(self, work: Callable[[Processes], None], left: str = _LEFT) -> None:
        self._work = work
        self._left = left
        self._processes = Processes()
        self._is_working = False

    def run(self) -> str | None:
        with owner.alone_or_not() as is_alone:
            if not is_alone:
                return self._left
            self._is_working = True
            try:
                rootfs.BUILD.end()  # the processes of a command that was killed
                self._work(self._processes)
            finally:
                self._is_working = False
        return None

    def end(self) -> None:
        self._processes.end()
        if self._is_working:
            rootfs.BUILD.end()


def _link(programs: Mapping[str, Path]) -> None:
    """Link to the programs; to the lab's by hard links, or pulumi would warn that its language host lies elsewhere."""
    links = bin_dir()
    links.mkdir(exist_ok=True)
    for link in links.iterdir():
        if link.name not in programs or not link.exists() or not link.samefile(programs[link.name]):
            link.unlink()
    for name, program in programs.items():
        link = links / name
        if not link.exists():
            make = link.hardlink_to if cache_dir() in program.parents else link.symlink_to
            make(program)
