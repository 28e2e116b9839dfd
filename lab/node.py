"""One node: a single-machine Kubernetes cluster in one sandbox."""

import base64
import hashlib
import os
import secrets
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from string import Template

from lab import network, paths
from lab.errors import LabError, last_line
from lab.sandbox import CONFIG, Root, Sandbox
from lab.toolchain import Toolchain

PROGRAMS = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "kube-router",
)
# User name -> group, as the API server's built-in roles expect them; kube-router has no role of its own.
USERS = {
    "admin": ("admin", "system:masters"),
    "kube-controller-manager": ("system:kube-controller-manager", ""),
    "kube-scheduler": ("system:kube-scheduler", ""),
    "kube-proxy": ("system:kube-proxy", ""),
    "kube-router": ("kube-router", "system:masters"),
}
SCRIPTS = {f"/usr/local/bin/{name}": (CONFIG / f"{name}.sh", "ro") for name in ("keys", "node")}


def lab_dir() -> Path:
    """Return the directory with the state of the running lab; `down` removes it."""
    return paths.cache_dir() / "lab"


@dataclass(frozen=True)
class Node:
    """A node's name, and its number in every address."""

    name: str
    number: int

    @property
    def address(self) -> str:
        return network.NODE_ADDRESS.format(self.number)

    @property
    def pods(self) -> str:
        return network.PODS.format(self.number)

    @property
    def services(self) -> str:
        return network.SERVICES.format(self.number)

    @property
    def dns(self) -> str:
        return network.DNS.format(self.number)

    @property
    def sandbox(self) -> Sandbox:
        return Sandbox(self.name, network.namespace(self.name))

    @property
    def state(self) -> Path:
        return lab_dir() / self.name

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def booted(self) -> Path:
        """A file that exists once the boot is complete; it has the boot key: of the programs, images and settings."""
        return self.state / "booted"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.state / "etc/admin.kubeconfig"

    def start(self, chain: Toolchain, root: Path, images: Path) -> None:
        """Start the node's programs; they need some seconds more until they answer.

        root: its Debian file system.
        images: containerd's directory with the images.
        """
        network.connect(self.name, self.address)
        for directory in ("etc", "logs", "kubelet", "etcd"):
            (self.state / directory).mkdir(parents=True, mode=0o700)
        _copy_images(images, self.state / "containerd")
        environment = {
            "NODE": self.name,
            "ADDRESS": self.address,
            "PODS": self.pods,
            "SERVICES": self.services,
            "PATH": os.environ["PATH"],
        }
        overlay = self.state / "root"
        self._make_keys(Root(root, overlay, {"/etc/lab": (self.state / "etc", "rw"), **SCRIPTS}), environment)
        self._write_credentials()
        self._write_config()
        binds = {f"/usr/local/bin/{name}": (chain.programs[name].resolve(), "ro") for name in PROGRAMS}
        binds |= SCRIPTS | {
            "/etc/lab": (self.state / "etc", "ro"),
            "/var/log/lab": (self.logs, "rw"),
            # Not on the overlay: containerd stacks overlays of its own, and etcd needs a file system on a disk.
            "/var/lib/containerd": (self.state / "containerd", "rw"),
            "/var/lib/kubelet": (self.state / "kubelet", "rw"),
            "/var/lib/etcd": (self.state / "etcd", "rw"),
        }
        with (self.logs / "node.log").open("ab") as log:
            self.sandbox.start_in_root(Root(root, overlay, binds), ["sh", "/usr/local/bin/node"], log, environment)

    def end(self) -> None:
        """End the node and remove its state; nothing to end is no error."""
        self.booted.unlink(missing_ok=True)
        self.sandbox.end()
        network.disconnect(self.name)
        if self.state.exists():
            shutil.rmtree(self.state)

    def write_kubeconfig(self, path: Path) -> None:
        """Write the administrator's kubeconfig, with the node's name as its context."""
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.unlink(missing_ok=True)
        partial.touch(mode=0o600)
        partial.write_text(self.kubeconfig.read_text())
        partial.rename(path)

    def _make_keys(self, root: Root, environment: dict[str, str]) -> None:
        log = self.logs / "keys.log"
        with log.open("ab") as output:
            if self.sandbox.start_in_root(root, ["sh", "/usr/local/bin/keys"], output, environment).wait():
                reason = last_line(log.read_text())
                raise LabError(f"{self.name}: its sandbox or its keys cannot be made: {reason} (log: {log})")

    def _write_credentials(self) -> None:
        etc = self.state / "etc"
        authority = base64.b64encode((etc / "apiserver.crt").read_bytes()).decode()
        template = Template((CONFIG / "kubeconfig.yaml").read_text())
        tokens = ""
        for file, (user, group) in (USERS | {"kubelet": (f"system:node:{self.name}", "system:nodes")}).items():
            token = secrets.token_hex(32)
            tokens += f'{token},{user},{user},"{group}"\n'
            (etc / f"{file}.kubeconfig").write_text(
                template.substitute(name=self.name, address=self.address, authority=authority, token=token)
            )
        (etc / "tokens.csv").write_text(tokens)
        for path in etc.iterdir():
            path.chmod(0o600)

    def _write_config(self) -> None:
        for name in ("kubelet.yaml", "kube-proxy.yaml", "containerd.toml", "ptp.conflist"):
            (self.state / "etc" / name).write_text(self.fill(name))

    def fill(self, name: str) -> str:
        """Return a file of config/ with the node's addresses filled in."""
        return Template((CONFIG / name).read_text()).substitute(
            name=self.name,
            address=self.address,
            pods=self.pods,
            dns=self.dns,
            cgroup=self.sandbox.cgroup,
            internet=network.WEBSITE_ADDRESS,
            **{node.name: node.address for node in NODES},
        )


TARGET = Node("target", 1)
CLIENTS = (Node("client", 2), Node("client2", 3), Node("client3", 4), Node("client4", 5))
NODES = (TARGET, *CLIENTS)
"""Every node that the lab can have. It always has the target and the first client."""


def _copy_images(images: Path, copy: Path) -> None:
    """Copy containerd's directory; the nodes share all files, which no program changes, but its databases."""
    subprocess.run(["cp", "--archive", "--link", images, copy], check=True)
    for database in images.glob("*/*.db"):
        shared = copy / database.relative_to(images)
        shared.unlink()
        shutil.copy2(database, shared)


def boot_key(chain: Toolchain, root: Path, images: Path) -> str:
    """Return a key that changes with everything that a cluster is booted from."""
    digest = hashlib.sha256(f"{root} {images}".encode())
    for name in (*PROGRAMS, "istioctl"):
        digest.update(str(chain.programs[name].resolve()).encode())
    for file in sorted(CONFIG.iterdir()):
        digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()[:16]
