"""Debian root filesystems in the cache, made by mmdebstrap from the host's own Debian sources.

Nothing is installed on the host. apt plans the packages and their versions, with the hashes of Debian's signed index,
and refuses a download with a different hash. The plan is compared with debian/RELEASE.lock before any package's code
runs. If Debian has superseded a pinned version, the version in the index is installed, and a line is printed.
"""

import hashlib
import os
import platform
import shutil
import subprocess
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from rich.console import Console

from lab import paths
from lab.errors import LabError, failure
from lab.processes import Processes
from lab.sandbox import Sandbox

DEBIAN = Path(__file__).parent / "debian"
NAMES = ("node", "image")
"""Those of the clusters; they share a lock."""
BROWSER = "browser"
"""The one that only tests need. It has a lock of its own: a new version of Chromium replaces no cluster's."""
BUILD = Sandbox("build")
"""Where mmdebstrap and buildah run, one at a time: the holder of `owner.alone` starts it."""
OLDEST = 12
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
OPTIONS = [
    "--mode=root",
    "--variant=essential",
    "--quiet",
    "--dpkgopt=force-unsafe-io",
    *(f"--dpkgopt=path-exclude=/usr/share/{path}/*" for path in ("doc", "info", "locale", "man")),
    '--aptopt=APT::Sandbox::User "root"',
    "--skip=update,cleanup/apt/lists",
]


@dataclass(frozen=True, order=True)
class Package:
    """A line of debian/RELEASE.lock."""

    name: str
    version: str
    sha256: str


def ensure(name: str, console: Console, processes: Processes | None = None) -> Path:
    """Return the root filesystem with the packages in debian/<name>.txt; make it if the cache lacks it.

    processes: runs the commands that need no sandbox, so that another thread can end them.
    """
    directory, lock = directory_of(name), lock_file(name)
    if not is_made(name):
        console.print(f"Making the Debian file system `{name}`")
        pins = parse(_pinned(name))
        if not pins:
            console.print(f"[yellow]{lock.name} does not exist: all versions are those of Debian's signed index")
        apt = _Apt(_emptied(directory), pins, processes or Processes())
        plan = apt.plan(name)
        for line in compare(plan, pins, lock):
            console.print(f"[yellow]{line}")
        apt.make_root(name, plan)
        (directory / "packages").write_text(format_lock(plan))
    return directory / "root"


def directory_of(name: str) -> Path:
    """Return where the cache has a file system, with its packages, and its log; there may be none yet."""
    listed = (DEBIAN / f"{name}.txt").read_text()
    key = hashlib.sha256("\n".join([codename(), listed, _pinned(name), *OPTIONS]).encode()).hexdigest()[:16]
    return paths.cache_dir() / "images" / f"debian-{name}-{key}"


def is_made(name: str) -> bool:
    """Return whether the cache has a file system."""
    return (directory_of(name) / "packages").exists()


def lock_packages() -> list[Package]:
    """Lock the host's release anew, at the versions that Debian serves now; return the packages that changed."""
    changed: set[Package] = set()
    for names in (NAMES, (BROWSER,)):
        old, new = parse(_pinned(names[0])), set[Package]()
        for name in names:
            directory = _emptied(paths.cache_dir() / "locking" / name)
            new |= set(_Apt(directory, {}, Processes()).plan(name))
        lock_file(names[0]).write_text(format_lock(new))
        changed |= new - set(old.values())
    shutil.rmtree(paths.cache_dir() / "locking")
    return sorted(changed)


def lock_file(name: str = NAMES[0]) -> Path:
    """Return where a file system's versions are pinned for the host's Debian release; the file may be missing."""
    return DEBIAN / f"{codename()}{'' if name in NAMES else f'.{name}'}.lock"


def parse(lock: str) -> dict[str, Package]:
    """Return the packages of a lock by name."""
    return {package.name: package for package in (Package(*line.split()) for line in lock.splitlines())}


def format_lock(packages: Collection[Package]) -> str:
    """Return the lock of these packages."""
    return "".join(f"{package.name} {package.version} {package.sha256}\n" for package in sorted(packages))


def compare(plan: Collection[Package], pins: dict[str, Package], lock: Path) -> list[str]:
    """Return a line for each package of the plan that is not as pinned in a lock.

    Raises LabError if Debian serves a pinned version with another hash. Without pins, there is nothing to compare.
    """
    lines = []
    for found in plan if pins else ():
        pinned = pins.get(found.name)
        if pinned is None:
            lines.append(f"{found.name} {found.version} is not pinned: taking the index's version")
        elif found.version != pinned.version:
            lines.append(f"{found.name} {pinned.version} is not in the index any more: taking {found.version}")
        elif found.sha256 != pinned.sha256:
            raise LabError(
                f"{found.name} {found.version} has sha256 {found.sha256} in Debian's index, but {lock.name} "
                f"says {pinned.sha256}; check the apt sources"
            )
    return lines


def codename() -> str:
    """Return the host's Debian release, such as "bookworm"."""
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        release = {}
    version = release.get("VERSION_ID", "")
    is_old = version.isdigit() and int(version) < OLDEST
    if release.get("ID") != "debian" or is_old or "VERSION_CODENAME" not in release:
        raise LabError(f"this is {release.get('PRETTY_NAME', 'not Debian')}: the lab needs Debian {OLDEST} or newer")
    return release["VERSION_CODENAME"]


def sources() -> list[str]:
    """Return the host's apt sources that serve Debian's own packages, as lines of sources.list.

    Debian's signed index has the release and the component, so any mirror, path or alias such as `stable` is accepted.
    """
    release = codename()
    suites = (release, f"{release}-updates", f"{release}-security")
    form = "$(ORIGIN) $(CODENAME) $(COMPONENT) $(REPO_URI) $(RELEASE)"
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", form, "Created-By: Packages"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    targets = [line.split() for line in listed.splitlines()]
    lines = {
        f"deb [signed-by={KEYRING}] {uri} {suite} main"
        for origin, name, component, uri, suite in (fields for fields in targets if len(fields) == 5)  # noqa: PLR2004
        if origin == "Debian" and name in suites and component == "main"
    }
    if not lines:
        raise LabError(
            f"apt has no index of Debian {release} main: run `apt-get update`; if that does not help, add Debian to "
            "/etc/apt/sources.list first"
        )
    return sorted(lines)


class _Apt:
    """apt with a state of its own in `directory`: the host's Debian sources, the pinned versions, nothing installed."""

    def __init__(self, directory: Path, pins: dict[str, Package], processes: Processes) -> None:
        self.directory = directory
        self.processes = processes
        self.log = directory / "log"
        self.state = directory / "apt"
        for path in ("lists/partial", "cache/archives/partial"):
            (self.state / path).mkdir(parents=True)
        (self.state / "status").touch()
        (self.state / "sources.list").write_text("\n".join(sources()) + "\n")
        (self.state / "preferences").write_text(
            "".join(f"Package: {pin.name}\nPin: version {pin.version}\nPin-Priority: 1001\n\n" for pin in pins.values())
        )
        self._apt_get("update", "--error-on=any")

    def plan(self, name: str) -> list[Package]:
        """Return the packages that mmdebstrap will install for debian/<name>.txt, and mmdebstrap itself."""
        included = (DEBIAN / f"{name}.txt").read_text().split()
        plan = self._apt_get("install", "--yes", "--print-uris", "?essential", *included)
        tool = self._apt_get("download", "--print-uris", "mmdebstrap")
        return sorted(parse_uris(plan + tool))

    def make_root(self, name: str, plan: Collection[Package]) -> None:
        """Run mmdebstrap into directory/root; raise LabError if that installs anything but the plan."""
        root = self.directory / "root"
        included = ",".join((DEBIAN / f"{name}.txt").read_text().split())
        copy_state = (
            f'cp {self.state}/preferences "$1/etc/apt/preferences.d/lab"; '
            f'cp -r {self.state}/lists/. "$1/var/lib/apt/lists/"'
        )
        setup = [f"--include={included}", f"--setup-hook={copy_state}"]
        tool = self._unpack_mmdebstrap()
        command = ["perl", str(tool / "mmdebstrap"), *OPTIONS, *setup, codename(), str(root)]
        _run_sandboxed([*command, str(self.state / "sources.list")], self.log, tool)
        installed = self._run(["dpkg-query", f"--admindir={root}/var/lib/dpkg", "-W", "-f", "${Package} ${Version}\n"])
        planned = {f"{package.name} {package.version}" for package in plan if package.name != "mmdebstrap"}
        if differing := planned ^ set(installed.splitlines()):
            raise LabError(
                f"mmdebstrap did not install the packages that apt planned: {', '.join(sorted(differing))} differ"
            )
        (root / "etc/apt/preferences.d/lab").unlink()
        for leftover in (root / "var/lib/apt/lists", self.state):
            shutil.rmtree(leftover)

    def _unpack_mmdebstrap(self) -> Path:
        """Unpack mmdebstrap without installing it; return the directory of its programs."""
        self._apt_get("download", "mmdebstrap")
        (archive,) = self.state.glob("mmdebstrap_*.deb")
        self._run(["dpkg-deb", "-x", str(archive), str(self.state / "mmdebstrap")])
        return self.state / "mmdebstrap/usr/bin"

    def _apt_get(self, command: str, *arguments: str) -> str:
        options = {
            "Dir::State::lists": f"{self.state}/lists",
            "Dir::State::status": f"{self.state}/status",
            "Dir::Cache": f"{self.state}/cache",
            "Dir::Etc::sourcelist": f"{self.state}/sources.list",
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::Etc::preferences": f"{self.state}/preferences",
            "Dir::Etc::preferencesparts": "/dev/null",
            "APT::Sandbox::User": "root",
            "APT::Install-Recommends": "false",
            "Acquire::ForceHash": "SHA256",
            "pkgCacheGen::ForceEssential": ",",  # as mmdebstrap does: apt itself is not essential
        }
        given = [f"-o{name}={value}" for name, value in options.items()]
        return self._run(["apt-get", "-qq", *given, command, *arguments])

    def _run(self, command: list[str]) -> str:
        try:
            with self.log.open("a") as log:
                return self.processes.run(command, log, cwd=self.state)
        except subprocess.CalledProcessError:
            raise failure(command[0], self.log) from None


def parse_uris(printed: str) -> list[Package]:
    """Return the packages in lines of `apt-get --print-uris`: URI, NAME_VERSION_ARCHITECTURE.deb, size, SHA256:HASH."""
    packages = []
    for line in printed.splitlines():
        _, file, _, digest = line.rsplit(" ", 3)
        name, version, _ = file.split("_")
        packages.append(Package(name, unquote(version), digest.removeprefix("SHA256:")))
    return packages


def _pinned(name: str) -> str:
    lock = lock_file(name)
    return lock.read_text() if lock.exists() else ""


def _emptied(directory: Path) -> Path:
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    return directory


def _run_sandboxed(command: list[str], log: Path, path: Path) -> None:
    """Run a command that mounts: `down` finds and ends it, and its mounts end with it."""
    unshare = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    try:
        with log.open("ab") as output:
            environment = os.environ | {"PATH": f"{path}:{os.environ['PATH']}"}
            if BUILD.start([*unshare, *command], output, environment).wait():
                raise failure(command[0], log)
    finally:
        BUILD.end()
