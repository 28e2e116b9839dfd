"""The container images of the lab: config/Containerfile, built by buildah and unpacked by containerd in a sandbox."""

import hashlib
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from lab import paths, rootfs
from lab.errors import failure
from lab.processes import Processes
from lab.sandbox import CONFIG, Root

CONTAINERFILE = CONFIG / "Containerfile"
NAMES = re.findall(r"^FROM base AS (\w+)$", CONTAINERFILE.read_text(), re.MULTILINE)
PROGRAMS = re.findall(r"^COPY (.*) /", CONTAINERFILE.read_text(), re.MULTILINE)
PARTS = {"coredns", "envoy", "httpbin", "istio"}  # have these programs

_BUILD = """
set -eu
containerd --root=/build/containerd &
for name in "$@"; do
    buildah --root=/build/storage --runroot=/run/buildah --storage-driver=overlay build --quiet --layers \\
        --isolation=chroot --target="$name" --tag="lab.local/$name:lab" --file=/build/Containerfile /build/context
    buildah --root=/build/storage --runroot=/run/buildah --storage-driver=overlay push --quiet \\
        "lab.local/$name:lab" "docker-archive:/build/$name.tar:lab.local/$name:lab"
    until ctr version >/dev/null 2>&1; do kill -0 $! && sleep 0.2; done
    ctr --namespace k8s.io images import "/build/$name.tar"
    rm "/build/$name.tar"
done
kill $! && wait $!
"""


def ensure(programs: Mapping[str, Path], node_root: Path, console: Console, processes: Processes | None = None) -> Path:
    """Return containerd's directory with every image, lab.local/<name>:lab; make it if the cache lacks it.

    programs: the paths of PROGRAMS, at least, by name.
    processes: runs the commands that need no sandbox, so that another thread can end them.
    """
    processes = processes or Processes()
    base = rootfs.ensure("image", console, processes)
    copied = {name: programs[name] for line in PROGRAMS for name in line.split()}
    versions = sorted(f"{path.parent.name}/{path.name}" for path in copied.values())
    inputs = [CONTAINERFILE.read_text(), _BUILD, base.parent.name, *versions]
    key = hashlib.sha256("\n".join(inputs).encode()).hexdigest()[:16]
    directory = paths.cache_dir() / "images" / f"images-{key}"
    unpacked = directory / "containerd"
    if not unpacked.exists():
        console.print("Building the container images")
        shutil.rmtree(directory, ignore_errors=True)
        _build(directory, node_root, base, copied, processes)
        (directory / "work/containerd").rename(unpacked)
        shutil.rmtree(directory / "work")
    return unpacked


def sweep(unpacked: Path, node_root: Path, console: Console) -> None:
    """Remove every image and file system except these and the browser's; no node may run on those removed."""
    kept = {unpacked.parent, node_root.parent, rootfs.ensure("image", console).parent}
    kept.add(rootfs.directory_of(rootfs.BROWSER))
    for stale in set(unpacked.parent.parent.iterdir()) - kept:
        shutil.rmtree(stale)


def _build(directory: Path, node_root: Path, base: Path, programs: dict[str, Path], processes: Processes) -> None:
    work = directory / "work"
    (work / "context").mkdir(parents=True)
    tar = ["tar", "-C", str(base), "--one-file-system", "-cf", str(work / "context/base.tar"), "."]
    try:
        with (directory / "log").open("w") as log:
            processes.run(tar, log)
    except subprocess.CalledProcessError:
        raise failure("tar", directory / "log") from None
    binds = {f"/build/context/{name}": (path.resolve(), "ro") for name, path in programs.items()}
    binds = {"/build": (work, "rw"), "/build/Containerfile": (CONTAINERFILE, "ro"), **binds}
    try:
        with (directory / "log").open("ab") as log:
            root = Root(node_root, work / "sandbox", binds)
            code = rootfs.BUILD.start_in_root(root, ["sh", "-c", _BUILD, "sh", *NAMES], log).wait()
    finally:
        rootfs.BUILD.end()
    if code:
        raise failure("buildah", directory / "log")
