"""Verify a deployed stack by trying to break in: a line for each promise, by host, client and cluster."""

import argparse
import os
import signal
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from settings import ConfigError
from verification import attacks, gateway, leftovers
from verification import clients as client_promises
from verification import hosts as host_promises
from verification.checks import Check
from verification.interruption import Interrupted, interruptible
from verification.report import Report, problems_json
from verification.runner import run, told
from verification.stack import DeployedStack

_EXIT_CODES = """\
exit codes:
  0  every promise that could be tried is kept
  1  a promise is broken
  2  something cannot be judged: no such stack, host or client, a wrong config, a cluster that does not answer; or
     something is left in a cluster
  129, 130, 143  ended by SIGHUP, Ctrl-C, or SIGTERM
"""


def main(arguments: list[str] | None = None) -> int:
    """Run the checks that are asked for and return the exit code."""
    asked = _parser().parse_args(arguments)
    console = Console(highlight=False, soft_wrap=True, stderr=asked.json)
    try:
        return _verify(asked, console)
    except KeyboardInterrupt:  # before anything was put into a cluster
        console.print("ended by SIGINT")
        return 128 + signal.SIGINT
    except Exception as error:
        return _cannot_verify(asked, console, told(error))


def _verify(asked: argparse.Namespace, console: Console) -> int:
    try:
        stack = DeployedStack.load(asked.stack, read_only=asked.read_only)
        stack, checks = chosen_checks(stack, asked.host, asked.client, asked.only)
        if asked.junit:
            _check_writable(asked.junit)
    except ConfigError as error:
        return _cannot_verify(asked, console, str(error))
    report = Report(console)
    try:
        attack(stack, checks, asked.timeout, report)
    except Interrupted as interrupted:
        with suppress(OSError):  # after SIGHUP, its terminal may be gone
            console.print(f"ended by {interrupted}")
        _end(interrupted.code)
    console.print(report.summary)
    if asked.json:
        print(report.json(stack.name))
    if asked.junit:
        report.write_junit(stack.name, asked.junit)
    return report.exit_code


def _cannot_verify(asked: argparse.Namespace, console: Console, problems: str) -> int:
    console.print(f"[red]cannot verify:[/] {escape(problems)}")
    if asked.json:
        print(problems_json(asked.stack, problems.splitlines()))
    return 2


def attack(stack: DeployedStack, checks: Sequence[Check], timeout: float, report: Report) -> None:
    """Run the checks, and remove from the clusters whatever they put there, also when a signal ends them."""
    attackers = list(stack.attackers.values())

    def tell(left: Iterable[list[str]]) -> None:
        report.leaves(command for commands in left for command in commands)

    with interruptible(lambda: tell(attacker.left for attacker in attackers)) as begin_cleaning:
        try:
            with report.console.status("") as report.status:
                run(checks, timeout, report)
        finally:
            begin_cleaning()
            with ThreadPoolExecutor(len(attackers) or 1) as pool:
                tell(pool.map(lambda attacker: attacker.remove(), attackers))


def chosen_checks(
    stack: DeployedStack, hosts: Collection[str], clients: Collection[str], only: Collection[str] = ()
) -> tuple[DeployedStack, list[Check]]:
    """Connect to the clusters that are needed; return the stack so, and the checks of these hosts and clients.

    By default these are all. What is about no host and no client is tried by default only.
    only: texts, of which one has to be in the promise
    """
    _check_names("host", hosts, stack.settings.hosts)
    _check_names("client", clients, stack.settings.clients)
    names = [name for name in stack.settings.own_clients if not clients or name in clients]
    connected = stack.connect(names, target=not clients)
    checks = [check for check in every_check(connected) if concerns(check, hosts, clients, only)]
    if not checks:
        raise ConfigError(f"stack {stack.name} promises nothing of what was asked for")
    return connected, checks


def every_check(stack: DeployedStack) -> Iterator[Check]:
    """All that is tried on a stack, in the order of its config."""
    for host in stack.settings.served:
        yield from host_promises.checks(stack, host)
        yield from attacks.of_host(stack, host)
    for client in stack.settings.clients:
        yield from client_promises.checks(stack, client)
        yield from attacks.of_client(stack, client)
    yield from gateway.checks(stack)
    yield from leftovers.checks(stack)


def concerns(check: Check, hosts: Collection[str], clients: Collection[str], only: Collection[str] = ()) -> bool:
    """Tell whether a check is about one of these hosts, clients and texts; an empty collection stands for any."""
    return (
        (not hosts or check.host in hosts)
        and (not clients or check.client in clients)
        and (not only or any(text.lower() in check.promise.lower() for text in only))
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m verification",
        description=__doc__,
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--stack", metavar="NAME", help="the stack to verify; the selected one by default")
    parser.add_argument(
        "--timeout",
        type=float,
        default=120,
        metavar="SECONDS",
        help="how long each check may be tried again before it fails (default 120)",
    )
    for kind in ("host", "client"):
        parser.add_argument(
            f"--{kind}",
            nargs="+",
            action="extend",
            default=[],
            metavar="NAME",
            help=f"only what is promised about these {kind}s of the stack's config: nothing about the Kyma gateway, "
            "nor about the objects of the clusters",
        )
    parser.add_argument(
        "--only",
        nargs="+",
        action="extend",
        default=[],
        metavar="TEXT",
        help="only promises with one of these texts",
    )
    parser.add_argument(
        "--read-only",
        action="store_true",
        help="create nothing in any cluster, and do not read the CA's key; say what is therefore not tried",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document, and the lines to stderr")
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write JUnit XML, too")
    return parser


def _check_names(kind: str, chosen: Collection[str], known: Collection[str]) -> None:
    unknown = [name for name in chosen if name not in known]
    if unknown:
        raise ConfigError(
            f"--{kind}: no {kind} {' or '.join(unknown)} in the config, which has {', '.join(known) or 'none'}"
        )


def _check_writable(path: Path) -> None:
    try:
        path.open("a").close()
    except OSError as error:
        raise ConfigError(f"--junit: {path}: {error.strerror}") from None


def _end(code: int) -> None:
    """End at once: what still runs in a Pod would be waited for otherwise."""
    with suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
