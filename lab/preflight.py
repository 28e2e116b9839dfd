"""Checks the machine before anything is built or started: can it run the lab?"""

import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

from rich.console import Console

from lab import network, owner, paths, rootfs
from lab.errors import LabError, last_line
from lab.sandbox import Root, Sandbox

# Program -> the Debian package that has it.
NEEDED = {
    "apt-get": "apt",
    "dpkg-deb": "dpkg",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "perl": "perl",
    "tar": "tar",
    "tc": "iproute2",
    "umount": "mount",
    "unshare": "util-linux",
}
# For each cluster; five clusters with the deployed tests use 6 GiB of memory.
MEMORY_GIB = 2
DISK_GIB = 3
CHECKOUT = Path(__file__).parent.parent
OWN_CLUSTERS = 'With two clusters of your own you need no lab: see "Your own clusters" in README.md'
PROGRAMS_OF_HOST = [Path(path) for path in ("/bin", "/lib", "/lib64", "/sbin", "/usr")]


def check() -> None:
    """Raise LabError for the first need that is not met."""
    check_root()
    try:
        _check_system()
        _check_programs()
        _check_paths()
        rootfs.sources()
        with owner.alone(Console()):  # `down` would remove the trial's namespace
            _try_sandbox()
    except LabError as error:
        raise LabError(f"{error}. {OWN_CLUSTERS}") from None


def check_root() -> None:
    """Raise LabError for a user other than root."""
    if os.geteuid() != 0:
        raise LabError(f"the lab makes namespaces and mounts: run it as root. {OWN_CLUSTERS}")


def check_free(clusters: int) -> None:
    """Raise LabError when memory, disk or addresses for so many clusters are taken, beside those that are running."""
    boot = f"to boot {clusters} cluster{'s' if clusters > 1 else ''}"
    memory = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    available = int(memory["MemAvailable"].split()[0]) / 2**20
    if available < (needed := clusters * MEMORY_GIB):
        raise LabError(
            f"{boot}, the lab needs {needed} GiB of memory, {available:.1f} GiB are available: end something. "
            f"{OWN_CLUSTERS}"
        )
    cache = paths.cache_dir()
    free = shutil.disk_usage(cache).free / 2**30
    if free < (needed := clusters * DISK_GIB):
        raise LabError(
            f"{boot}, the lab needs {needed} GiB in {cache}, {free:.1f} GiB are free: free some, or name a "
            f"directory on a larger disk in KYMA_MTLS_CACHE. {OWN_CLUSTERS}"
        )
    network.check_free()


def _check_system() -> None:
    rootfs.codename()
    if (machine := platform.machine()) != "x86_64":
        raise LabError(f"this machine is {machine}: the lab's programs and images are for x86-64 only")


def _check_programs() -> None:
    missing = sorted({package for program, package in NEEDED.items() if not shutil.which(program)})
    modules = ["perl", "-MPod::Usage", "-MMath::BigInt", "-e1"]
    if "perl" not in missing and subprocess.run(modules, capture_output=True, check=False).returncode:
        missing.append("perl")  # Debian's minimal perl-base lacks modules that mmdebstrap needs
    if missing:
        raise LabError(f"the lab needs {', '.join(missing)}: run `apt-get install {' '.join(missing)}`")


def _check_paths() -> None:
    """Raise LabError for a path that PATH or a mount's options cannot name, and for a cache that cannot be written."""
    cache = paths.cache_dir()
    for path, advice in ((CHECKOUT, "move the checkout"), (cache, "name another directory in KYMA_MTLS_CACHE")):
        if taken := sorted(set(str(path)) & set(":,\\")):
            raise LabError(f"{path} has a {taken[0]} in its name, which mounts and PATH use otherwise: {advice}")
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=cache):
            pass
    except OSError as error:
        raise LabError(
            f"{cache} cannot be written ({error.strerror}): name another directory in KYMA_MTLS_CACHE"
        ) from None


def _try_sandbox() -> None:
    """Start and end a sandbox as a node's is, with the host's programs in it, and raise LabError when that fails."""
    cache, name = paths.cache_dir(), f"trial-{os.getpid()}"
    with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=cache) as directory, network.trial(name) as namespace:
        lower, log = Path(directory, "lower"), Path(directory, "log")
        for mount_point in ("dev", "mnt", "proc", "run", "sys", "tmp"):
            (lower / mount_point).mkdir(parents=True)
        binds = {str(path): (path, "ro") for path in PROGRAMS_OF_HOST if path.exists()}
        sandbox = Sandbox(name, namespace)
        try:
            with log.open("wb") as output:
                command = ["sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]
                process = sandbox.start_in_root(Root(lower, Path(directory, "state"), binds), command, output)
                lacking = sandbox.lacking_controllers()
                failed = process.wait()
        finally:
            sandbox.end()
        if failed:
            raise LabError(_explain(log.read_text(), cache))
    if lacking:
        raise LabError(
            f"the cgroup controllers {', '.join(lacking)} cannot be passed on to the lab, and a kubelet needs them: "
            "run the lab outside of a container, or boot without real-time processes"
        )


def _explain(log: str, cache: Path) -> str:
    """Explain why a sandbox did not start, and give a remedy."""
    reason = last_line(log)
    advice = "the lab needs a machine, or a virtual one, where root may make namespaces and mounts"
    if "overlay" in reason:
        kind = subprocess.run(["stat", "-fc", "%T", cache], capture_output=True, text=True, check=False).stdout.strip()
        advice = (
            f"{cache} is on {kind}, and the lab mounts overlays there: name a directory on a disk with ext4, xfs or "
            "btrfs in KYMA_MTLS_CACHE"
        )
    return f"a sandbox cannot be started here ({reason}): {advice}"
