"""Real Kubernetes clusters with Istio on this machine: `target`, `client` and, on request, `client2` to `client4`."""

import argparse
import shlex
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

from rich.console import Console
from rich.table import Table

from lab import images, network, paths, preflight, rootfs, toolchain
from lab.errors import LabError
from lab.lock import only_one
from lab.mesh import Mesh
from lab.node import CLIENTS, NODES, Node, lab_dir
from lab.sandbox import Sandbox
from lab.toolchain import Toolchain

CHECKOUT = Path(__file__).parent.parent
INTERNET = Sandbox("internet", network.INTERNET)
PASSPHRASE = "kyma-mtls-lab"  # noqa: S105 - public on purpose: the keys it locks protect nothing but the lab
console = Console(highlight=False, soft_wrap=True)


def up(arguments: argparse.Namespace) -> None:
    """Build what is missing, boot the clusters that are not running and write their kubeconfigs to .lab/."""
    begin = time.monotonic()
    preflight.check()
    with _only_one():
        nodes = _nodes(arguments.clients)
        if off := [node for node in nodes if not node.sandbox.alive()]:
            preflight.check_free(len(off))
        chain = toolchain.ensure(console)
        _end_if_broken(chain)
        missing = [node for node in nodes if not node.booted.exists()]
        took = _boot(chain, missing) if missing else 0
        _hand_over(nodes)
    if not missing:
        console.print("The lab is up")
        return
    console.print(
        f"The lab is up: booted in {took:.0f} s, {time.monotonic() - begin:.0f} s in all. "
        f'`eval "$(python -m lab env)"` sets a shell up for it'
    )


def restart(arguments: argparse.Namespace) -> None:
    """End one cluster with all its state and boot another with the same name and address."""
    preflight.check()
    node = _node(arguments.name)
    with _only_one():
        if not (node.state.exists() and INTERNET.alive()):
            raise LabError(f"{node.name} is not running; `python -m lab up` boots the lab")
        took = _boot(toolchain.ensure(console), [node])
        _hand_over([node])
    console.print(f"{node.name} is up: booted in {took:.0f} s")


def build(arguments: argparse.Namespace) -> None:
    """Build what the lab needs and is missing, as `up` does, and a part that it does not need."""
    preflight.check()
    toolchain.ensure(console, [arguments.part] if arguments.part else [])
    console.print("All is built")


def down(_: argparse.Namespace) -> None:
    """End every cluster and remove every trace of the lab; what was built stays in the cache."""
    preflight.check_root()
    with _only_one():
        _end_all()
    console.print("The lab is down")


def status(_: argparse.Namespace) -> None:
    """Say how each part of the lab is; exits with 1 when something is not well."""
    preflight.check_root()
    problems = _problems(_nodes(), paths.bin_dir())
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
    path = f"{CHECKOUT / '.venv/bin'}:{paths.bin_dir()}"
    print(f'export PATH={shlex.quote(path)}:"$PATH"')
    for name, value in {
        "PULUMI_HOME": str(paths.pulumi_home()),
        "PULUMI_BACKEND_URL": f"file://{lab_dir() / 'pulumi'}",
        "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "KUBECONFIG": ":".join(str(_handed_over(node)) for node in _nodes()),
    }.items():
        print(f"export {name}={shlex.quote(value)}")


def logs(arguments: argparse.Namespace) -> None:
    """Print a program's log on a node; without a program, list the logs there are."""
    nodes = [_node(arguments.node)] if arguments.node else _nodes()
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
    cache = paths.cache_dir()
    before = shutil.disk_usage(cache.parent).free if cache.exists() else 0
    toolchain.purge()
    for name in ("images", "pins"):
        shutil.rmtree(cache / name, ignore_errors=True)
    (cache / "lab.lock").unlink(missing_ok=True)
    if cache.exists() and not any(cache.iterdir()):
        cache.rmdir()
    freed = shutil.disk_usage(cache.parent).free - before if before else 0
    console.print(f"{max(freed, 0) / 2**30:.1f} GiB given back")


def _nodes(clients: int = 1) -> list[Node]:
    """The target, this many clients, and those that the lab has anyway."""
    return [node for node in NODES if node not in CLIENTS[clients:] or node.state.exists()]


def _end_if_broken(chain: Toolchain) -> None:
    """End the whole lab when a part of it that was up is not well, and say what."""
    booted = [node for node in NODES if node.booted.exists()]
    problems = [f"{name}: {', '.join(found)}" for name, found in _problems(booted, chain.bin).items() if found]
    if problems and booted:
        console.print(f"Ending a broken lab ({'; '.join(problems)})")
    if problems:
        _end_all()


def _boot(chain: Toolchain, nodes: list[Node]) -> float:
    """Boot these anew, beside the others that are running; returns how many seconds it took."""
    Sandbox("build").end()  # of an `up` that was killed
    root = rootfs.ensure("node", console)
    archive = images.ensure(chain, root, console)
    for node in nodes:
        node.end()
    if not any(node.sandbox.alive() for node in NODES):
        images.sweep(archive, root, console)
    begin = time.monotonic()
    lab_dir().mkdir(parents=True, exist_ok=True, mode=0o700)
    if not INTERNET.alive():
        network.up()
        _start_internet(chain)
    for node in nodes:
        node.start(chain, root, archive)
    _install(chain, nodes, begin)
    return time.monotonic() - begin


def _install(chain: Toolchain, nodes: list[Node], begin: float) -> None:
    """Install what runs inside clusters that were just started, side by side."""

    def install(node: Node) -> None:
        def report(step: str) -> None:
            console.print(f"{time.monotonic() - begin:4.0f} s  {node.name}: {step}")

        Mesh(node, chain.bin).install(report)
        node.booted.touch()

    with ThreadPoolExecutor() as pool:
        boots = [pool.submit(install, node) for node in nodes]
        try:
            for boot in boots:
                boot.result()
        except KeyboardInterrupt:
            for node in nodes:
                if not node.booted.exists():
                    node.sandbox.end()  # else its thread would go on waiting for it
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


def _hand_over(nodes: list[Node]) -> None:
    (lab_dir() / "pulumi").mkdir(exist_ok=True, mode=0o700)
    for node in nodes:
        node.write_kubeconfig(_handed_over(node))


def _problems(nodes: list[Node], programs: Path) -> dict[str, list[str]]:
    with ThreadPoolExecutor() as pool:
        problems = pool.map(lambda node: Mesh(node, programs).problems(), nodes)
        found = {node.name: found for node, found in zip(nodes, problems, strict=True)}
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
    return only_one(paths.cache_dir() / "lab.lock", "Waiting for another `python -m lab` to finish", console)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lab", description=__doc__)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    added = {}
    for function in (up, restart, build, down, status, kubeconfig, env, logs, pins, purge):
        text = str(function.__doc__)
        added[function.__name__] = commands.add_parser(function.__name__, help=text, description=text)
        added[function.__name__].set_defaults(function=function)
    names = [node.name for node in NODES]
    added["up"].add_argument(
        "--clients",
        type=int,
        choices=range(1, len(CLIENTS) + 1),
        default=1,
        help="how many client clusters to have; more that are running stay (default: %(default)s)",
    )
    added["restart"].add_argument("name", choices=names)
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
