"""Verify a deployed stack: a line for each promise, by host, client and cluster."""

import argparse
import sys
from collections.abc import Collection, Iterator

from rich.console import Console
from rich.markup import escape

from settings import ConfigError
from verification import clients as client_promises
from verification import gateway, leftovers
from verification import hosts as host_promises
from verification.checks import Check
from verification.runner import Verdict, run
from verification.stack import DeployedStack

_EXIT_CODES = """\
exit codes:
  0  every promise that could be tried is kept
  1  a promise is broken
  2  nothing can be judged: no such stack, host or client, a wrong config, a cluster that does not answer
"""


def main(arguments: list[str] | None = None) -> int:
    """Run the checks that are asked for and return the exit code."""
    asked = _parser().parse_args(arguments)
    console = Console(highlight=False, soft_wrap=True)
    try:
        checks = chosen_checks(DeployedStack.load(asked.stack), asked.host, asked.client)
    except ConfigError as error:
        console.print(f"[red]cannot verify:[/] {escape(str(error))}")
        return 2
    verdicts = run(console, checks, asked.timeout)
    console.print(", ".join(f"{verdicts[verdict]} {verdict.value}" for verdict in Verdict))
    return 1 if verdicts[Verdict.FAILED] else 0


def chosen_checks(stack: DeployedStack, hosts: Collection[str], clients: Collection[str]) -> list[Check]:
    """Connect to the clusters of these clients, and return the checks of these hosts and clients, of all by default.

    What is about no host and no client is tried by default only; it needs the target cluster, too.
    """
    _check_names("host", hosts, stack.settings.hosts)
    _check_names("client", clients, stack.settings.clients)
    names = [name for name in stack.settings.own_clients if not clients or name in clients]
    connected = stack.connect(names, target=not hosts and not clients)
    checks = [check for check in every_check(connected) if concerns(check, hosts, clients)]
    if not checks:
        raise ConfigError(f"stack {stack.name} promises nothing of what was asked for")
    return checks


def every_check(stack: DeployedStack) -> Iterator[Check]:
    """All that is tried on a stack, in the order of its config."""
    for host in stack.settings.served:
        yield from host_promises.checks(stack, host)
    for client in stack.settings.clients:
        yield from client_promises.checks(stack, client)
    yield from gateway.checks(stack)
    yield from leftovers.checks(stack)


def concerns(check: Check, hosts: Collection[str], clients: Collection[str]) -> bool:
    """Tell whether a check is about one of these hosts and one of these clients; an empty collection stands for any."""
    return (not hosts or check.host in hosts) and (not clients or check.client in clients)


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
            "nor about what an interrupted update left in a cluster",
        )
    return parser


def _check_names(kind: str, chosen: Collection[str], known: Collection[str]) -> None:
    unknown = [name for name in chosen if name not in known]
    if unknown:
        raise ConfigError(
            f"--{kind}: no {kind} {' or '.join(unknown)} in the config, which has {', '.join(known) or 'none'}"
        )


if __name__ == "__main__":
    sys.exit(main())
