"""What the lab needs of the machine, asked before anything is started."""

import os
import shutil
import subprocess
from pathlib import Path

from lab import network, paths, rootfs
from lab.errors import LabError

# Program -> the Debian package that has it.
NEEDED = {
    "apt-get": "apt",
    "dpkg-deb": "dpkg",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "perl": "perl",
    "tar": "tar",
    "umount": "mount",
    "unshare": "util-linux",
}
# Of each cluster.
MEMORY_GIB = 3
DISK_GIB = 3
OWN_CLUSTERS = 'With two clusters of your own you need no lab: see "Your own clusters" in README.md'


def check() -> None:
    """Raise LabError for the first need that is not met."""
    check_root()
    try:
        rootfs.codename()
    except LabError as error:
        raise LabError(f"{error}. {OWN_CLUSTERS}") from None
    missing = sorted({package for program, package in NEEDED.items() if not shutil.which(program)})
    if (
        "perl" not in missing
        and subprocess.run(
            ["perl", "-MPod::Usage", "-MMath::BigInt", "-e1"], capture_output=True, check=False
        ).returncode
    ):
        missing.append("perl")  # Debian's minimal perl-base lacks modules that mmdebstrap needs
    if missing:
        raise LabError(f"the lab needs {', '.join(missing)}: run `apt-get install {' '.join(missing)}`. {OWN_CLUSTERS}")
    if not any(" cgroup" in line for line in Path("/proc/self/mounts").read_text().splitlines()):
        raise LabError(f"no cgroups are mounted in /sys/fs/cgroup. {OWN_CLUSTERS}")


def check_root() -> None:
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
