"""Verify a deployed stack by attacking it: print a line for each promise, by host, client and cluster."""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from settings import ConfigError
from verification import attacks, effective, gateway, leftovers, objects
from verification import clients as client_promises
from verification import hosts as host_promises
from verification.attacker import Attacker
from verification.checks import Check
from verification.context import ClientContext, HostContext
from verification.evidence import file
from verification.evidence.facts import facts
from verification.evidence.origin import Start
from verification.interruption import Interrupted, interruptible
from verification.report import Report
from verification.reports import Reports
from verification.runner import described, run
from verification.stack import DeployedStack
from verification.strictness import Strict

_EXIT_CODES = """\
exit codes:
  0  every promise that was tried is kept
  1  a promise is broken
  2  a promise cannot be judged: no such stack, host or client, an invalid config, a cluster that does not answer
     until the timeout, with --strict a promise that is not tried, or what a killed verification left; or an object
     of this verification or a killed one is left in a cluster; or a report cannot be written
  129, 130, 143  ended by SIGHUP, Ctrl-C, or SIGTERM
"""


def main(arguments: list[str] | None = None) -> int:
    """Run the chosen checks and return the exit code."""
    options, start = _parser().parse_args(arguments), Start()
    console = Console(highlight=False, soft_wrap=True, stderr=options.json)
    try:
        return _verify(options, console, start)
    except KeyboardInterrupt:  # before any object was created in a cluster, or after all are gone or reported
        console.print("ended by SIGINT")
        return 128 + signal.SIGINT
    except Exception as error:
        return _cannot_verify(options, console, start, described(error))


def _verify(options: argparse.Namespace, console: Console, start: Start) -> int:
    try:
        if options.html:
            file.check_writable(options.html)
        strict = Strict.of(options.allow_skip, is_on=options.strict)
        stack = DeployedStack.load(options.stack, read_only=options.read_only)
        stack, checks = chosen_checks(stack, options.host, options.client, options.only)
        _reports(options).check_junit()
    except ConfigError as error:
        return _cannot_verify(options, console, start, str(error))
    report = Report(console, strict=strict)

    def publish(ended: str | None = None) -> int:
        """Write the reports, and return the exit code."""

        @cache
        def document() -> dict[str, Any]:
            run = {**start.described(), "options": _described(options), "promises": len(checks)}
            return report.document(facts(stack) | run, ended)

        problem = f"ended by {ended}: {len(report.verdicts)} of {len(checks)} promises were judged" if ended else ""
        junit = partial(report.write_junit, stack.name, problem=problem)
        lost = _reports(options).write(document, junit)
        _print_lost(lost)
        return max(report.exit_code, 2) if lost else report.exit_code

    try:
        attack(stack, checks, options.timeout, report)
    except Interrupted as interrupted:
        try:
            with suppress(OSError):  # after SIGHUP, its terminal may be gone
                console.print(f"ended by {interrupted}")
            publish(str(interrupted))
        finally:
            _end(interrupted.code)
    with suppress(OSError):
        console.print(report.summary)
    return publish()


def _cannot_verify(options: argparse.Namespace, console: Console, start: Start, problems: str) -> int:
    console.print(f"[red]cannot verify:[/] {escape(problems)}")
    run = {**start.described(), "options": _described(options)}
    document = {"stack": options.stack, **run, "exitCode": 2, "problems": problems.splitlines()}
    junit = partial(Report(console).write_junit, options.stack or "", problem=problems)
    lost = _reports(options).write(lambda: document, junit)
    _print_lost(line for line in lost if line not in document["problems"])
    return 2


def _reports(options: argparse.Namespace) -> Reports:
    return Reports(options.json, options.junit, options.html)


def _print_lost(lost: Iterable[str]) -> None:
    for line in lost:
        with suppress(OSError):
            print(f"report not written: {line}", file=sys.stderr, flush=True)


def _described(options: argparse.Namespace) -> dict[str, Any]:
    """Return the options that decide what is tried."""
    return {
        "readOnly": options.read_only,
        "hosts": options.host,
        "clients": options.client,
        "only": options.only,
        "strict": options.strict,
        "timeout": options.timeout,
    }


def attack(stack: DeployedStack, checks: Sequence[Check], timeout: float, report: Report) -> None:
    """Run the checks, and remove the objects that they created in clusters, also when a signal ends them.

    Also remove what killed runs of the stack left there; if the stack is `read_only`, name it.
    """
    attackers = list(stack.attackers.values())

    def report_left() -> None:
        report.leaves(command for attacker in attackers for command in attacker.left)

    with interruptible(report_left) as begin_cleaning:
        try:
            try:
                if not stack.read_only:
                    _seek(lambda attacker: attacker.sweep(), attackers, report)
                with report.shown_status():
                    run(checks, timeout, report)
                if stack.read_only:
                    _seek(lambda attacker: attacker.seek(), attackers, report)
            finally:
                begin_cleaning()
        finally:  # apart, since the first signal may come just before `begin_cleaning`
            if not stack.read_only:
                with ThreadPoolExecutor(len(attackers) or 1) as pool:
                    _ = [pool.submit(attacker.remove) for attacker in attackers]
            report_left()


def _seek(seek: Callable[[Attacker], object], attackers: Sequence[Attacker], report: Report) -> None:
    """Seek in all clusters at once what killed runs left, and report where that fails."""
    with ThreadPoolExecutor(len(attackers) or 1) as pool:
        sought = [pool.submit(seek, attacker) for attacker in attackers]
    for attacker, done in zip(attackers, sought, strict=True):
        error = done.exception()
        if isinstance(error, Exception):
            report.does_not_know(attacker.where, described(error))


def chosen_checks(
    stack: DeployedStack, hosts: Collection[str], clients: Collection[str], only: Collection[str] = ()
) -> tuple[DeployedStack, list[Check]]:
    """Connect to the clusters that the checks need; return the connected stack and the checks to run.

    hosts, clients: run only the checks of these; if empty, also those of the Kyma gateway and of the clusters' objects
    only: run only the checks whose promise contains one of these texts, in any case

    Raise ConfigError if a name is not in the config, if a cluster does not answer, or if no check is left.
    """
    _check_names("host", hosts, stack.settings.hosts)
    _check_names("client", clients, stack.settings.clients)
    names = [name for name in stack.settings.present_clients if not clients or name in clients]
    connected = stack.connect(names, target=not clients)
    checks = [check for check in every_check(connected) if concerns(check, hosts, clients, only)]
    if not checks:
        raise ConfigError(f"stack {stack.name} has no promise that matches these options")
    return connected, checks


def every_check(stack: DeployedStack) -> Iterator[Check]:
    """Yield every check of a stack, in the order of its config."""
    for host in (HostContext(stack, name) for name in stack.settings.served):
        yield from host_promises.checks(host)
        yield from attacks.of_host(host)
        yield from effective.of_host(host)
    for client in (ClientContext(stack, name) for name in stack.settings.clients):
        yield from client_promises.checks(client)
        yield from attacks.of_client(client)
        yield from effective.of_client(client)
    yield from gateway.checks(stack)
    yield from effective.of_stack(stack)
    yield from objects.checks(stack)
    yield from leftovers.checks(stack)


def concerns(check: Check, hosts: Collection[str], clients: Collection[str], only: Collection[str] = ()) -> bool:
    """Return whether a check is of one of these hosts, clients and texts; an empty collection stands for any."""
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
    parser.add_argument("--stack", metavar="NAME", help="the stack to verify (default: the selected one)")
    parser.add_argument(
        "--timeout",
        type=float,
        default=120,
        metavar="SECONDS",
        help="retry each check for this long before it fails (default: 120)",
    )
    for kind in ("host", "client"):
        parser.add_argument(
            f"--{kind}",
            nargs="+",
            action="extend",
            default=[],
            metavar="NAME",
            help=f"run only the checks of these {kind}s of the stack's config, and none of the Kyma gateway "
            "or of the clusters' objects",
        )
    parser.add_argument(
        "--only",
        nargs="+",
        action="extend",
        default=[],
        metavar="TEXT",
        help="run only the checks whose promise contains one of these texts",
    )
    parser.add_argument(
        "--read-only",
        action="store_true",
        help="create nothing in any cluster, and do not read the CA's key; skip the checks that need either",
    )
    parser.add_argument(
        "--strict",
        action="store_true",
        help="judge each promise that is not tried (SKIP) as one that cannot be judged (????, exit code 2)",
    )
    parser.add_argument(
        "--allow-skip",
        nargs="+",
        action="extend",
        default=[],
        metavar="TEXT",
        help="with --strict: let promises be skipped whose promise or reason contains one of these texts",
    )
    parser.add_argument("--json", action="store_true", help="print a JSON document to stdout, and the lines to stderr")
    parser.add_argument("--junit", type=Path, metavar="FILE", help="also write JUnit XML to this file")
    parser.add_argument(
        "--html", type=Path, metavar="FILE", help="also write the JSON document as one page, to show or to print"
    )
    return parser


def _check_names(kind: str, chosen: Collection[str], known: Collection[str]) -> None:
    unknown = [name for name in chosen if name not in known]
    if unknown:
        raise ConfigError(
            f"--{kind}: no {kind} {' or '.join(unknown)} in the config, which has {', '.join(known) or 'none'}"
        )


def _end(code: int) -> None:
    """End at once; a normal exit would wait for threads that still run commands in Pods."""
    with suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
