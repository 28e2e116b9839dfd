"""Try the lab in a stock Debian with systemd and cgroup v2: a virtual machine of Debian's newest packages.

With KVM it runs all of `make up` there. An emulated machine is too slow for clusters; it runs preflight, sandboxes and
the lab's network (tests/machine). Nothing is pinned: it is like the machine of a user who installs Debian today.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from lab.errors import LabError
from lab.lock import only_one
from lab.paths import cache_dir

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[1]
# Program -> the Debian package that has it.
NEEDED = {"mke2fs": "e2fsprogs", "mmdebstrap": "mmdebstrap", "qemu-system-x86_64": "qemu-system-x86"}
# What a server of today has, what README asks for, and what tests/machine needs where no .venv can be made.
PACKAGES = (
    "apparmor ca-certificates dbus git kmod linux-image-amd64 make nftables perl procps python3 python3-pytest "
    "python3-pytest-timeout python3-rich python3-venv systemd-sysv udev"
)
KERNEL_OPTIONS = "root=/dev/vda rw console=ttyS0 net.ifnames=0 mitigations=off"
# Of a machine that is emulated, and of one that boots clusters: GiB of memory and disk, minutes until it must be off.
SMALL, WHOLE = (2, 4, 20), (10, 30, 120)
KEPT_VARIABLES = re.compile(r"(PIP_|GO|.*_proxy$|.*_PROXY$)")
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
console = Console(highlight=False, soft_wrap=True)


def main() -> int:
    """Make the machine, boot it, and return the exit code of what ran in it."""
    parser = argparse.ArgumentParser(prog="python -m tests.stock", description=__doc__)
    parser.add_argument("--suite", default="bookworm", help="Debian's release (default: %(default)s)")
    suite = parser.parse_args().suite
    directory = cache_dir() / "stock"
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # and remove the directory
    try:
        _check()
        with only_one(cache_dir() / "stock.lock", "Waiting for another stock machine", console):
            shutil.rmtree(directory, ignore_errors=True)  # of one that was killed
            directory.mkdir()
            try:
                return _try(suite, directory)
            finally:
                shutil.rmtree(directory)
    except LabError as error:
        console.print(str(error), style="red", markup=False)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _check() -> None:
    missing = sorted(package for program, package in NEEDED.items() if not shutil.which(program))
    if missing:
        raise LabError(f"a stock machine needs {', '.join(missing)}: run `apt-get install {' '.join(missing)}`")
    if os.geteuid() != 0:
        raise LabError("making a Debian file system needs root: run this as root")


def _try(suite: str, directory: Path) -> int:
    logs = cache_dir() / "logs"
    logs.mkdir(exist_ok=True)
    root, log = directory / "root", logs / f"stock-{suite}.log"
    log.write_text("")
    _report(f"making Debian {suite} (log: {log})")
    _make_root(suite, root, log)
    kernel = _boot_files(root, directory)
    whole = _kvm_works(kernel)
    _report("KVM works: all of `make up`" if whole else "no KVM here: preflight, sandboxes and the network, emulated")
    _install(root, whole)
    memory, disk, minutes = WHOLE if whole else SMALL
    image = directory / "disk"
    _run(["mke2fs", "-q", "-t", "ext4", "-d", root, image, f"{disk}G"], log)
    shutil.rmtree(root)
    return _boot([*_qemu(whole, memory), *kernel, "-append", KERNEL_OPTIONS], image, log, minutes)


def _make_root(suite: str, root: Path, log: Path) -> None:
    """Run mmdebstrap in mount and process namespaces that end with it, and with this process."""
    own = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    options = ["--mode=root", "--variant=important", "--skip=cleanup/apt/lists", "--dpkgopt=force-unsafe-io"]
    options += ['--aptopt=APT::Sandbox::User "root"', f"--include={','.join(PACKAGES.split())}"]
    _run([*own, "mmdebstrap", *options, suite, root], log)


def _boot_files(root: Path, directory: Path) -> list[str | Path]:
    """Copy the kernel and its initial file system out, and return QEMU's options for them."""
    found = {name: next((root / "boot").glob(f"{name}-*")) for name in ("vmlinuz", "initrd.img")}
    copies = {name: Path(shutil.copy(path, directory / name)) for name, path in found.items()}
    return ["-kernel", copies["vmlinuz"], "-initrd", copies["initrd.img"]]


def _kvm_works(kernel: Sequence[str | Path]) -> bool:
    """Return whether KVM boots this kernel: /dev/kvm may be there and boot no PC."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    command = [*_qemu(True, 1), *kernel, "-append", "console=ttyS0 panic=-1 rdinit=/none", "-serial", "stdio"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=30, check=False)
    except subprocess.TimeoutExpired:
        return False
    return b"Linux version" in done.stdout


def _qemu(kvm: bool, memory: int) -> list[str | Path]:
    machine = ["-accel", "kvm", "-cpu", "host"] if kvm else ["-accel", "tcg,thread=multi", "-cpu", "max"]
    tied = ["setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64", *machine]
    return [*tied, "-smp", "2", "-m", f"{memory}G", "-display", "none", "-monitor", "none", "-no-reboot"]


def _install(root: Path, whole: bool) -> None:
    """Copy the checkout in, and a service that runs guest.sh; what is built already comes along for `make up`."""
    files = ["git", "-C", str(CHECKOUT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(files, capture_output=True, text=True, check=True).stdout.split("\0")
    for name in filter(lambda name: (CHECKOUT / name).is_file(), listed):
        target = root / "root/kyma-mtls" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CHECKOUT / name, target)
    shutil.copytree(HERE / "overlay", root, symlinks=True, dirs_exist_ok=True)
    kept = [f'{name}="{value}"\n' for name, value in os.environ.items() if KEPT_VARIABLES.match(name)]
    (root / "etc/stock.environment").write_text("".join([f"WHOLE={'yes' if whole else 'no'}\n", *kept]))
    if CERTIFICATES.exists():  # the way to the package registries may be a proxy with a CA of its own
        shutil.copy(CERTIFICATES, root / CERTIFICATES.relative_to("/"))
    if whole and (cache_dir() / "parts").exists():
        shutil.copytree(cache_dir() / "parts", root / "root/.cache/kyma-mtls/parts", symlinks=True)


def _boot(qemu: Sequence[str | Path], image: Path, log: Path, minutes: int) -> int:
    """Boot the machine, print what guest.sh does, and return its exit code."""
    devices = ["-drive", f"file={image},format=raw,if=virtio,cache=unsafe", "-nic", "user,model=virtio-net-pci"]
    serial = ["-serial", f"file:{log.with_suffix('.console')}", "-serial", "stdio"]
    command = [*qemu, *devices, *serial]
    code = None
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as machine:
        limit = threading.Timer(minutes * 60, machine.kill)
        limit.start()
        try:
            assert machine.stdout
            for line in machine.stdout:
                _report(line.rstrip())
                if match := re.fullmatch(r"exit code (\d+)", line.strip()):
                    code = int(match[1])
        finally:
            limit.cancel()
            machine.kill()
    if code is None:
        raise LabError(f"the machine ended without a result, or was stopped: see {log.with_suffix('.console')}")
    return code


def _run(command: Sequence[str | Path], log: Path) -> None:
    with log.open("a") as output:
        tied = ["setpriv", "--pdeathsig", "KILL", *command]
        done = subprocess.run(tied, stdout=output, stderr=output, check=False)
    if done.returncode:
        reason = (log.read_text().strip().splitlines() or ["no message"])[-1]
        raise LabError(f"{command[0]} failed: {reason} (log: {log})")


_started = time.monotonic()


def _report(line: str) -> None:
    console.print(f"{time.monotonic() - _started:4.0f} s  {line}", markup=False)


if __name__ == "__main__":
    sys.exit(main())
