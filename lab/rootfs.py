"""Debian root filesystems in the cache, made by mmdebstrap out of the host's own Debian sources.

Nothing is installed on the host. Versions and hashes are those of debian/packages.lock; a package that Debian has
superseded since comes in the version of apt's signed index, and a line says so.
"""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlparse

from rich.console import Console

from lab import paths
from lab.errors import LabError
from lab.sandbox import Sandbox

DEBIAN = Path(__file__).parent / "debian"
LOCK = DEBIAN / "packages.lock"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
OPTIONS = [
    "--mode=root",
    "--variant=essential",
    "--quiet",
    "--dpkgopt=force-unsafe-io",
    *(f"--dpkgopt=path-exclude=/usr/share/{path}/*" for path in ("doc", "info", "locale", "man")),
    '--aptopt=APT::Sandbox::User "root"',
]


@dataclass(frozen=True, order=True)
class Package:
    """One line of packages.lock."""

    name: str
    version: str
    sha256: str


def ensure(name: str, console: Console) -> Path:
    """The root filesystem of the packages in debian/<name>.txt; made when the cache has none of these pins."""
    listed = (DEBIAN / f"{name}.txt").read_bytes()
    key = hashlib.sha256(listed + LOCK.read_bytes() + repr(OPTIONS).encode()).hexdigest()[:16]
    directory = paths.cache_dir() / "images" / f"debian-{name}-{key}"
    if not (directory / "packages").exists():
        console.print(f"Making the Debian file system `{name}`")
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        pins = locked()
        found = _make(name, directory, pins)
        for package in found:
            _compare(package, pins.get(package.name), console)
        (directory / "packages").write_text(_format(found))
    return directory / "root"


def pin() -> list[Package]:
    """Write packages.lock anew with what Debian serves now; returns what changed."""
    old, new = locked(), {}
    for name in ("node", "image"):
        directory = paths.cache_dir() / "pins" / name
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        new.update({package.name: package for package in _make(name, directory, {})})
    shutil.rmtree(paths.cache_dir() / "pins")
    LOCK.write_text(_format(list(new.values())))
    return [package for package in new.values() if package != old.get(package.name)]


def locked() -> dict[str, Package]:
    lines = LOCK.read_text().splitlines() if LOCK.exists() else []
    return {package.name: package for package in (Package(*line.split()) for line in lines)}


def _format(packages: list[Package]) -> str:
    return "".join(f"{package.name} {package.version} {package.sha256}\n" for package in sorted(packages))


def _make(name: str, directory: Path, pins: dict[str, Package]) -> list[Package]:
    """Run mmdebstrap into directory/root; returns what is in it, mmdebstrap included."""
    preferences = directory / "preferences"
    preferences.write_text(
        "".join(
            f"Package: {package.name}\nPin: version {package.version}\nPin-Priority: 1001\n\n"
            for package in pins.values()
        )
    )
    root = directory / "root"
    tool, own = _mmdebstrap(directory)
    include = ",".join((DEBIAN / f"{name}.txt").read_text().split())
    _run_sandboxed(
        [
            "perl",
            str(tool / "mmdebstrap"),
            *OPTIONS,
            f"--include={include}",
            "--skip=cleanup/apt/lists",
            f'--setup-hook=cp {preferences} "$1/etc/apt/preferences.d/lab"',
            codename(),
            str(root),
            str(directory / "apt/sources.list"),
        ],
        directory / "log",
        tool,
    )
    installed = _run(
        ["dpkg-query", f"--admindir={root}/var/lib/dpkg", "-W", "-f", "${Package} ${Version}\n"], directory / "log"
    )
    packages = list(_in_index(root / "var/lib/apt/lists", set(installed.splitlines())))
    (root / "etc/apt/preferences.d/lab").unlink()
    for leftover in (root / "var/lib/apt/lists", directory / "apt"):
        shutil.rmtree(leftover)
    return [*packages, own]


def _mmdebstrap(directory: Path) -> tuple[Path, Package]:
    """Download mmdebstrap with an apt state of our own and unpack it; returns where its programs lie."""
    state = directory / "apt"
    for path in ("lists/partial", "cache/archives/partial"):
        (state / path).mkdir(parents=True)
    (state / "sources.list").write_text("\n".join(sources()) + "\n")
    apt = [
        "apt-get",
        "-qq",
        "-o",
        f"Dir::State::lists={state}/lists",
        "-o",
        f"Dir::Cache={state}/cache",
        "-o",
        f"Dir::Etc::sourcelist={state}/sources.list",
        "-o",
        "Dir::Etc::sourceparts=/dev/null",
        "-o",
        f"Dir::Etc::preferences={directory}/preferences",
        "-o",
        "APT::Sandbox::User=root",
    ]
    _run([*apt, "update"], directory / "log")
    _run([*apt, "download", "mmdebstrap"], directory / "log", cwd=state)
    (archive,) = state.glob("mmdebstrap_*.deb")
    version = _run(["dpkg-deb", "-f", str(archive), "Version"], directory / "log").strip()
    _run(["dpkg-deb", "-x", str(archive), str(state / "mmdebstrap")], directory / "log")
    return (
        state / "mmdebstrap/usr/bin",
        Package("mmdebstrap", version, hashlib.sha256(archive.read_bytes()).hexdigest()),
    )


def _in_index(lists: Path, installed: set[str]) -> Iterator[Package]:
    """What apt's signed index, which it checked each download against, says of the installed ("name version")."""
    seen = set()
    for index in sorted(lists.glob("*_Packages")):
        for paragraph in index.read_text().split("\n\n"):
            fields = dict(line.split(": ", 1) for line in paragraph.splitlines() if ": " in line and line[0] != " ")
            identity = f"{fields.get('Package')} {fields.get('Version')}"
            if identity in installed and identity not in seen:
                seen.add(identity)
                yield Package(fields["Package"], fields["Version"], fields["SHA256"])
    if missing := installed - seen:
        raise LabError(f"not in the signed index of Debian: {', '.join(sorted(missing))}; check the apt sources")


def _compare(found: Package, expected: Package | None, console: Console) -> None:
    if expected is None:
        console.print(f"[yellow]{found.name} {found.version} is not in {LOCK.name}: taken from Debian's signed index")
    elif found.version != expected.version:
        console.print(f"[yellow]{found.name} {expected.version} is superseded in Debian: taking {found.version}")
    elif found.sha256 != expected.sha256:
        raise LabError(
            f"{found.name} {found.version} has sha256 {found.sha256}, but {LOCK.name} says "
            f"{expected.sha256}; check the apt sources"
        )


def codename() -> str:
    """The host's Debian release, such as "bookworm"."""
    lines = Path("/etc/os-release").read_text().splitlines()
    fields = dict(line.split("=", 1) for line in lines if "=" in line)
    if fields.get("ID") != "debian":
        raise LabError(f"this is {fields.get('PRETTY_NAME', 'not Debian')}: the lab needs Debian 12 or newer")
    return fields["VERSION_CODENAME"]


def sources() -> list[str]:
    """The host's apt sources that are Debian's own, as lines of sources.list."""
    release = codename()
    suites = (release, f"{release}-updates", f"{release}-security")
    targets = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    lines = []
    for uri, suite, component in sorted({tuple(line.split()) for line in targets.splitlines()}):
        own = urlparse(uri).path.rstrip("/").endswith(("/debian", "/debian-security"))
        if own and suite in suites and component == "main":
            lines.append(f"deb [signed-by={KEYRING}] {uri} {suite} main")
    if not lines:
        raise LabError(f"apt has no source for Debian {release} main; add one to /etc/apt/sources.list")
    return lines


def _run(command: list[str], log: Path, cwd: Path | None = None) -> str:
    result = subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)
    with log.open("a") as file:
        file.write(f"$ {' '.join(command)}\n{result.stderr}")
    if result.returncode:
        raise _failed(command, log)
    return result.stdout


def _run_sandboxed(command: list[str], log: Path, path: Path) -> None:
    """Run a command that mounts: `down` finds and ends it, and its mounts end with it."""
    unshare = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    sandbox = Sandbox("build")
    try:
        with log.open("ab") as output:
            environment = os.environ | {"PATH": f"{path}:{os.environ['PATH']}"}
            if sandbox.start([*unshare, *command], output, environment).wait():
                raise _failed(command, log)
    finally:
        sandbox.end()


def _failed(command: list[str], log: Path) -> LabError:
    reason = (log.read_text().strip().splitlines() or ["no message"])[-1]
    return LabError(f"{Path(command[0]).name} failed: {reason} (log: {log})")
