"""Two real Kubernetes clusters with Istio on this machine: `target` and `client`."""

import argparse
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

from rich.console import Console
from rich.table import Table

from lab import images, network, preflight, rootfs, toolchain
from lab.errors import LabError
from lab.lock import only_one
from lab.mesh import Mesh
from lab.node import NODES, Node, lab_dir
from lab.sandbox import Sandbox
from lab.toolchain import Toolchain

CHECKOUT = Path(__file__).parent.parent
INTERNET = Sandbox("internet", network.INTERNET)
PASSPHRASE = "kyma-mtls-lab"  # noqa: S105 - public on purpose: the keys it locks protect nothing but the lab
console = Console(highlight=False, soft_wrap=True)


def up(_: argparse.Namespace) -> None:
    """Build what is missing, boot both clusters and write their kubeconfigs to .lab/."""
    begin = time.monotonic()
    preflight.check()
    with _only_one():
        if not any(node.sandbox.alive() for node in NODES):
            preflight.check_free()
        chain = toolchain.ensure(console)
        meshes = [Mesh(node, chain.bin) for node in NODES]
        if not any(_problems(meshes).values()):
            _hand_over()
            console.print("The lab is up")
            return
        _end_all()
        root = rootfs.ensure("node", console)
        archive = images.ensure(chain, root, console)
        booting = time.monotonic()
        _boot(chain, meshes, root, archive)
        _hand_over()
    now = time.monotonic()
    console.print(
        f"The lab is up: booted in {now - booting:.0f} s, {now - begin:.0f} s in all. "
        f'`eval "$(python -m lab env)"` sets a shell up for it'
    )


def build(arguments: argparse.Namespace) -> None:
    """Build what the lab needs and is missing, as `up` does, and a part that it does not need."""
    preflight.check()
    toolchain.ensure(console, [arguments.part] if arguments.part else [])
    console.print("All is built")


def down(_: argparse.Namespace) -> None:
    """End both clusters and remove every trace of them; what was built stays in the cache."""
    preflight.check_root()
    with _only_one():
        _end_all()
    console.print("The lab is down")


def status(_: argparse.Namespace) -> None:
    """Say how each part of the lab is; exits with 1 when something is not well."""
    preflight.check_root()
    problems = _problems([Mesh(node, toolchain.cache_dir() / "bin") for node in NODES])
    addresses = {node.name: node.address for node in NODES} | {"internet": network.WEBSITE_ADDRESS}
    table = Table("", "address", "state")
    for name, found in problems.items():
        table.add_row(name, addresses[name], f"[red]{'; '.join(found)}" if found else "[green]healthy")
    console.print(table)
    if any(problems.values()):
        raise SystemExit(1)


def kubeconfig(arguments: argparse.Namespace) -> None:
    """Print a cluster's kubeconfig."""
    print(_existing(_node(arguments.name).kubeconfig).read_text(), end="")


def env(_: argparse.Namespace) -> None:
    """Print what a shell needs to use pulumi, kubectl and istioctl with the lab."""
    path = f"{CHECKOUT / '.venv/bin'}:{toolchain.cache_dir() / 'bin'}"
    print(f'export PATH={shlex.quote(path)}:"$PATH"')
    for name, value in {
        "PULUMI_HOME": str(toolchain.pulumi_home()),
        "PULUMI_BACKEND_URL": f"file://{lab_dir() / 'pulumi'}",
        "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "KUBECONFIG": ":".join(str(_handed_over(node)) for node in NODES),
    }.items():
        print(f"export {name}={shlex.quote(value)}")


def logs(arguments: argparse.Namespace) -> None:
    """Print a program's log on a node; without a program, list the logs there are."""
    nodes = [_node(arguments.node)] if arguments.node else list(NODES)
    if arguments.program:
        file = _existing(nodes[0].logs / f"{arguments.program}.log")
        subprocess.run(["tail", "-n", "+1", *(["-F"] if arguments.follow else []), file], check=False)
        return
    for file in (file for node in nodes for file in sorted(node.logs.glob("*.log"))):
        print(file)


def pins(_: argparse.Namespace) -> None:
    """Pin the Debian packages anew, to what Debian serves now."""
    preflight.check()
    with _only_one(), console.status("Asking Debian"):
        changed = rootfs.pin()
    for package in changed:
        console.print(f"{package.name} {package.version}")
    console.print(f"{len(changed)} packages changed in {rootfs.LOCK.relative_to(CHECKOUT)}")


def purge(arguments: argparse.Namespace) -> None:
    """End the lab and give back the disk of all that was built."""
    down(arguments)
    cache = toolchain.cache_dir()
    before = shutil.disk_usage(cache.parent).free if cache.exists() else 0
    toolchain.purge()
    for name in ("images", "pins"):
        shutil.rmtree(cache / name, ignore_errors=True)
    (cache / "lab.lock").unlink(missing_ok=True)
    if cache.exists() and not any(cache.iterdir()):
        cache.rmdir()
    freed = shutil.disk_usage(cache.parent).free - before if before else 0
    console.print(f"{max(freed, 0) / 2**30:.1f} GiB given back")


def _boot(chain: Toolchain, meshes: list[Mesh], root: Path, archive: Path) -> None:
    begin = time.monotonic()

    def reporter(name: str) -> Callable[[str], None]:
        return lambda step: console.print(f"{time.monotonic() - begin:4.0f} s  {name}: {step}")

    lab_dir().mkdir(parents=True, exist_ok=True, mode=0o700)
    network.up({node.name: node.address for node in NODES})
    _start_internet(chain)
    for node in NODES:
        node.start(chain, root, archive)
    with ThreadPoolExecutor() as pool:
        boots = [pool.submit(mesh.install, reporter(mesh.node.name)) for mesh in meshes]
        try:
            for boot in boots:
                boot.result()
        except KeyboardInterrupt:
            _end_all()  # else the threads would go on waiting for their clusters
            raise


def _start_internet(chain: Toolchain) -> None:
    with (lab_dir() / "internet.log").open("ab") as log:
        INTERNET.start([chain.programs["go-httpbin"], "-host", network.WEBSITE_ADDRESS, "-port", "80"], log)


def _end_all() -> None:
    with ThreadPoolExecutor() as pool:
        list(pool.map(Sandbox.end, [Sandbox("build"), INTERNET, *(node.sandbox for node in NODES)]))
    for node in NODES:
        _handed_over(node).unlink(missing_ok=True)
    network.down()
    shutil.rmtree(lab_dir(), ignore_errors=True)


def _hand_over() -> None:
    (lab_dir() / "pulumi").mkdir(exist_ok=True, mode=0o700)
    for node in NODES:
        node.write_kubeconfig(_handed_over(node))


def _problems(meshes: list[Mesh]) -> dict[str, list[str]]:
    with ThreadPoolExecutor() as pool:
        problems = pool.map(Mesh.problems, meshes)
        found = {mesh.node.name: found for mesh, found in zip(meshes, problems, strict=True)}
    return found | {"internet": [] if INTERNET.alive() else ["not running"]}


def _handed_over(node: Node) -> Path:
    return CHECKOUT / ".lab" / f"{node.name}.kubeconfig"


def _node(name: str) -> Node:
    return next(node for node in NODES if node.name == name)


def _existing(path: Path) -> Path:
    if not path.exists():
        raise LabError(f"{path} does not exist; is the lab up? `python -m lab status` says")
    return path


def _only_one() -> AbstractContextManager[None]:
    """Let a second `up` or `down` wait for the first."""
    return only_one(toolchain.cache_dir() / "lab.lock", "Waiting for another `python -m lab` to finish", console)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lab", description=__doc__)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    added = {}
    for function in (up, build, down, status, kubeconfig, env, logs, pins, purge):
        text = str(function.__doc__)
        added[function.__name__] = commands.add_parser(function.__name__, help=text, description=text)
        added[function.__name__].set_defaults(function=function)
    names = [node.name for node in NODES]
    added["build"].add_argument("part", nargs="?", choices=toolchain.optional_parts(), help="one that only tests need")
    added["kubeconfig"].add_argument("name", choices=names)
    added["logs"].add_argument("node", nargs="?", choices=names)
    added["logs"].add_argument("program", nargs="?", help="such as kubelet; without it the logs there are")
    added["logs"].add_argument("-f", "--follow", action="store_true", help="go on with what is written from now on")
    return parser


def main() -> int:
    arguments = _parser().parse_args()
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `lab logs | head` is no error
    try:
        arguments.function(arguments)
    except LabError as error:
        Console(stderr=True, highlight=False, soft_wrap=True).print(str(error), style="red", markup=False)
        return 1
    except KeyboardInterrupt:
        print("Interrupted; `python -m lab up` or `down` goes on from here", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
