"""Real Kubernetes clusters with Istio on this machine: `target`, `client` and, on request, `client2` to `client4`."""

import argparse
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from contextlib import AbstractContextManager
from pathlib import Path

from rich.console import Console
from rich.table import Table

from lab import lifecycle, network, owner, paths, preflight, proxy, rootfs, toolchain
from lab.errors import LabError
from lab.lock import only_one
from lab.node import CLIENTS, NODES, Node

PASSPHRASE = "kyma-mtls-lab"  # noqa: S105 - public on purpose: the keys it locks protect nothing but the lab
console = Console(highlight=False, soft_wrap=True)


def up(arguments: argparse.Namespace) -> None:
    """Boot the clusters that do not run and mend the broken ones; build missing programs and images first."""
    begin = time.monotonic()
    preflight.check()
    with _change():  # refused at once, rather than after the build
        nodes = lifecycle.wanted(arguments.clients)
        if off := [node for node in nodes if not node.sandbox.alive()]:
            preflight.check_free(len(off))
    chain = toolchain.ensure(console)
    with _change():
        booted = lifecycle.bring_up(chain, lifecycle.wanted(arguments.clients), console)
    took = (
        f": booted in {time.monotonic() - begin:.0f} s. `python -m lab env` prints the environment for a shell"
        if booted
        else ""
    )
    console.print(f"The lab is up{took}")


def restart(arguments: argparse.Namespace) -> None:
    """Replace a cluster, with all its state, by an empty one of the same name and address."""
    begin = time.monotonic()
    preflight.check()
    node = _node(arguments.name)
    with _change():
        if not (node.state.exists() and network.exists()):
            raise LabError(f"{node.name} is not running: `python -m lab up` boots the lab")
    chain = toolchain.ensure(console)
    with _change():
        lifecycle.boot(chain, [node], console)
    console.print(f"{node.name} is up: booted in {time.monotonic() - begin:.0f} s")


def build(arguments: argparse.Namespace) -> None:
    """Build the programs and images of the lab without booting it; optionally parts that only tests need."""
    preflight.check()
    toolchain.ensure(console, arguments.parts)
    console.print("Everything is built")


def tool(arguments: argparse.Namespace) -> None:
    """Build a program that the lab itself does not need, unless it is there, and print its path."""
    print(toolchain.tool(Console(stderr=True, highlight=False, soft_wrap=True), arguments.part))


def down(arguments: argparse.Namespace) -> None:
    """End every cluster and remove all files and interfaces of the lab; built programs and images stay in the cache."""
    preflight.check_root()
    with _change(force=arguments.force):
        lifecycle.end()
    console.print("The lab is down")


def status(_: argparse.Namespace) -> None:
    """Show the status of each part of the lab; exits with 1 if one is broken."""
    preflight.check_root()
    owner.require()
    problems = lifecycle.problems(lifecycle.wanted(), paths.bin_dir())
    addresses = {node.name: node.address for node in NODES} | {"website": network.WEBSITE_ADDRESS}
    table = Table("", "address", "status")
    for name, problem in problems.items():
        table.add_row(name, addresses[name], f"[red]{problem}" if problem else "[green]healthy")
    console.print(table)
    console.print(f"It belongs to {owner.me()}")
    if any(problems.values()):
        raise SystemExit(1)


def kubeconfig(arguments: argparse.Namespace) -> None:
    """Print a cluster's kubeconfig."""
    owner.require()
    print(_existing(lifecycle.kubeconfig(_node(arguments.name))).read_text(), end="")


def env(_: argparse.Namespace) -> None:
    """Print the environment in which a shell uses pulumi, kubectl and istioctl with the lab."""
    owner.require()
    path = f"{owner.CHECKOUT / '.venv/bin'}:{paths.bin_dir()}"
    variables = {
        "PULUMI_HOME": str(paths.pulumi_home()),
        # Without metadata files: killed while it writes one, Pulumi could not read the state any more.
        "PULUMI_BACKEND_URL": f"file://{lifecycle.pulumi_state()}?metadata=skip",
        "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "KUBECONFIG": ":".join(str(_existing(lifecycle.kubeconfig(node))) for node in lifecycle.wanted()),
        **proxy.exceptions(os.environ),
    }
    print(f'export PATH={shlex.quote(path)}:"$PATH"')
    for name, value in variables.items():
        print(f"export {name}={shlex.quote(value)}")


def logs(arguments: argparse.Namespace) -> None:
    """Print a program's log on a node; without a program, list the logs there are."""
    owner.require()
    nodes = [_node(arguments.node)] if arguments.node else lifecycle.wanted()
    if arguments.program:
        file = _existing(nodes[0].logs / f"{arguments.program}.log")
        subprocess.run(["tail", "-n", "+1", *(["-F"] if arguments.follow else []), file], check=False)
        return
    for file in (file for node in nodes for file in sorted(node.logs.glob("*.log"))):
        print(file)


def relock(_: argparse.Namespace) -> None:
    """Lock the Debian packages anew, at the versions that Debian serves now."""
    preflight.check()
    with console.status("Asking Debian"):
        changed = rootfs.lock_packages()
    for package in changed:
        console.print(f"{package.name} {package.version}")
    console.print(f"{len(changed)} packages changed in {rootfs.DEBIAN.relative_to(owner.CHECKOUT)}")


def purge(_: argparse.Namespace) -> None:
    """End the lab and delete everything that was built."""
    preflight.check_root()
    cache = paths.cache_dir()
    with _change():
        lifecycle.end()
        if not cache.exists():
            return
        before = shutil.disk_usage(cache).free
        with only_one(cache / "lock", "Waiting for another process that builds the lab's programs", console):
            toolchain.purge()
            for name in ("images", "locking"):
                shutil.rmtree(cache / name, ignore_errors=True)
        freed = shutil.disk_usage(cache).free - before
    console.print(f"{max(freed, 0) / 2**30:.1f} GiB given back")


def _change(*, force: bool = False) -> AbstractContextManager[None]:
    return owner.change(lifecycle.is_running, console, force=force)


def _optional_part(name: str) -> str:
    if name not in (known := [*toolchain.optional_parts(), rootfs.BROWSER]):
        raise argparse.ArgumentTypeError(f"{name!r} is no optional part; choose from {', '.join(known)}")
    return name


def _node(name: str) -> Node:
    return next(node for node in NODES if node.name == name)


def _existing(path: Path) -> Path:
    if not path.exists():
        raise LabError(f"{path} does not exist; is the lab up? `python -m lab status` shows it")
    return path


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lab", description=__doc__)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    added = {}
    for function in (up, restart, build, tool, down, status, kubeconfig, env, logs, relock, purge):
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
    optional = f"parts that only tests need: {', '.join([*toolchain.optional_parts(), rootfs.BROWSER])}"
    added["build"].add_argument("parts", nargs="*", metavar="PART", type=_optional_part, help=optional)
    added["tool"].add_argument("part", choices=toolchain.tools())
    added["down"].add_argument(
        "--force", action="store_true", help="also if a session uses the lab, or this checkout is not its owner"
    )
    added["kubeconfig"].add_argument("name", choices=names)
    added["logs"].add_argument("node", nargs="?", choices=names)
    added["logs"].add_argument("program", nargs="?", help="such as kubelet; without it, the logs are listed")
    added["logs"].add_argument("-f", "--follow", action="store_true", help="follow the log")
    return parser


def main() -> int:
    arguments = _parser().parse_args()
    try:
        arguments.function(arguments)
    except (LabError, OSError, subprocess.SubprocessError) as error:
        Console(stderr=True, highlight=False, soft_wrap=True).print(str(error), style="red", markup=False)
        return 1
    except KeyboardInterrupt:
        print("Interrupted; `python -m lab up` and `down` continue from here", file=sys.stderr)
        return 130
    return 0


def handle_signals() -> None:
    """Treat SIGTERM and SIGHUP like Ctrl-C, so that a command ends its processes; end without a word on SIGPIPE.

    SIGHUP stays ignored under nohup.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `lab logs | head` is no error


if __name__ == "__main__":
    handle_signals()
    sys.exit(main())
