"""Control groups of the lab: kyma-lab/<name> in every hierarchy that the machine has, of cgroup v1, v2 or both.

On pure v2 a cgroup has only the controllers that its parent passes on. Those that the lab enables at the root are
remembered in an attribute of the cgroup kyma-lab, and disabled when that cgroup goes.
"""

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError

ROOT = Path("/sys/fs/cgroup")
LAB = "kyma-lab"
# A kubelet refuses a v2 cgroup that lacks one of these if the root has it.
CONTROLLERS = ("cpu", "cpuset", "hugetlb", "memory", "pids")
ENABLED = "user.kyma-lab.enabled"
GONE = (errno.ENOENT, errno.ENODEV)  # ENODEV: the cgroup was removed after its file was opened


@dataclass(frozen=True)
class Cgroup:
    """One group of processes: kyma-lab/<name> in each hierarchy below root."""

    name: str
    root: Path = ROOT

    @property
    def path(self) -> str:
        return f"{LAB}/{self.name}"

    def create(self) -> list[Path]:
        """Create the cgroup and return the files to write a process id to.

        They are those of its child `system`: v2 has processes in leaves only, and Pods get children beside it.
        """
        if not hierarchies(self.root):
            raise LabError(f"no cgroups are mounted in {self.root}: mount them, or boot a kernel that has them")
        with _locked(self.root):
            try:
                return [self._create_in(hierarchy) / "cgroup.procs" for hierarchy in hierarchies(self.root)]
            except OSError as error:
                raise LabError(
                    f"{error.filename or self.root} cannot be written ({error.strerror}): the lab needs cgroups that "
                    "root can change; a container has them only if it is privileged"
                ) from None

    def processes(self) -> set[int]:
        """Return the ids of all processes of the cgroup and its children."""
        return {pid for directory in self._directories() for pid in _processes_of(directory)}

    def lacking(self) -> list[str]:
        """Return the controllers that a kubelet needs and that the root did not pass on."""
        if not _is_v2(self.root):
            return []
        available = _words(self.root / "cgroup.controllers")
        passed_on = _words(self.root / self.path / "cgroup.controllers")
        return sorted(available & set(CONTROLLERS) - passed_on)

    def remove(self) -> None:
        """Remove the cgroup, which has no processes any more; the last one takes with it what `create` changed."""
        if not hierarchies(self.root):
            return
        for directory in self._directories():
            _remove(directory)
        with _locked(self.root):
            for hierarchy in hierarchies(self.root):
                enabled = _enabled_by_lab(hierarchy)
                with suppress(OSError):  # a cgroup of the lab is still in it, or it is gone
                    _rmdir(hierarchy / LAB)
                    _change_controllers(hierarchy, "-", enabled)

    def _create_in(self, hierarchy: Path) -> Path:
        lab, own = hierarchy / LAB, hierarchy / self.path
        for directory in (lab, own, own / "system"):
            _mkdir(directory)
            _inherit_cpuset(directory)
        if _is_v2(hierarchy) and hierarchy == self.root:
            _remember_enabled(hierarchy)
            for directory in (hierarchy, lab, own):
                _change_controllers(directory, "+", CONTROLLERS)
        return own / "system"

    def _directories(self) -> Iterator[Path]:
        """Yield every directory of the cgroup in every hierarchy, children first."""
        for hierarchy in hierarchies(self.root):
            for directory, _, _ in os.walk(hierarchy / self.path, topdown=False):
                yield Path(directory)


def hierarchies(root: Path = ROOT) -> list[Path]:
    """Return the mounted hierarchies: the root itself on pure v2, else the directories in it."""
    candidates = [root] if _is_v2(root) else sorted(root.iterdir()) if root.is_dir() else []
    return [path for path in candidates if not path.is_symlink() and (path / "cgroup.procs").exists()]


def names(root: Path = ROOT) -> set[str]:
    """Return the names of all cgroups of the lab."""
    return {path.name for hierarchy in hierarchies(root) for path in (hierarchy / LAB).glob("*/")}


def _is_v2(hierarchy: Path) -> bool:
    return (hierarchy / "cgroup.controllers").exists()


def _inherit_cpuset(directory: Path) -> None:
    """Fill a new v1 cpuset, which takes no process while it is empty; on v2 an empty one is inherited."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        own, inherited = directory / name, directory.parent / name
        if inherited.exists() and not _is_v2(directory) and not own.read_text().strip():
            _write(own, inherited.read_text())


def _change_controllers(directory: Path, sign: str, controllers: tuple[str, ...]) -> None:
    """Enable (+) or disable (-) controllers for the children, one by one: the kernel may refuse some of them."""
    for controller in controllers:
        with suppress(OSError):
            _write(directory / "cgroup.subtree_control", sign + controller)


def _remember_enabled(root: Path) -> None:
    """Note which controllers the lab is about to enable at the root, unless it did so before."""
    if not _enabled_by_lab(root):
        missing = set(CONTROLLERS) & _words(root / "cgroup.controllers") - _words(root / "cgroup.subtree_control")
        os.setxattr(root / LAB, ENABLED, " ".join(sorted(missing)).encode())


def _enabled_by_lab(hierarchy: Path) -> tuple[str, ...]:
    try:
        return tuple(os.getxattr(hierarchy / LAB, ENABLED).decode().split())
    except OSError:
        return ()


def _words(file: Path) -> set[str]:
    return set(file.read_text().split())


def _processes_of(directory: Path) -> list[int]:
    try:
        return [int(line) for line in (directory / "cgroup.procs").read_text().split()]
    except OSError as error:
        if error.errno in GONE:
            return []
        raise


def _remove(directory: Path) -> None:
    for _ in range(100):  # the kernel lets go of ended processes a moment later
        try:
            return _rmdir(directory)
        except OSError as error:
            if error.errno in GONE:
                return None
            time.sleep(0.05)
    raise LabError(f"{directory} cannot be removed: something uses it; end it, then run `python -m lab down` again")


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    """Keep all other processes from creating or removing cgroups of the lab in this context."""
    directory = os.open(root, os.O_RDONLY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        yield
    finally:
        os.close(directory)


def _mkdir(directory: Path) -> None:
    directory.mkdir(exist_ok=True)


def _rmdir(directory: Path) -> None:
    directory.rmdir()


def _write(file: Path, text: str) -> None:
    file.write_text(text)
