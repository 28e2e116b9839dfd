"""Verify a deployed stack: a line for each promise, exit code 1 when one is not kept, 2 when it can't be judged."""

import argparse
import ssl
import sys
import time
from enum import Enum

import urllib3
from kubernetes.client import ApiException
from rich.console import Console
from rich.markup import escape

from settings import ConfigError
from verification import gateway
from verification.checks import CHECKS, Check, Failed, Skipped
from verification.stack import DeployedStack

PAUSE_SECONDS = 2


class Verdict(Enum):
    """How a check ended."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


def main() -> int:
    """Run every check and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m verification", description=__doc__)
    parser.add_argument("--stack", help="the stack to verify; the selected one by default")
    parser.add_argument(
        "--timeout",
        type=float,
        default=120,
        metavar="SECONDS",
        help="how long each check may wait for Envoy (default 120)",
    )
    arguments = parser.parse_args()
    console = Console(highlight=False, soft_wrap=True)
    try:
        stack = DeployedStack.load(arguments.stack)
    except ConfigError as error:
        console.print(f"[red]cannot verify:[/] {escape(str(error))}")
        return 2
    console.print(f"[bold]{stack.name}[/]: {stack.client.host} calls {stack.endpoint.domain}")
    verdicts = [verify(console, check, stack, arguments.timeout) for check in (*CHECKS, *gateway.checks(stack))]
    console.print(", ".join(f"{verdicts.count(verdict)} {verdict.value}" for verdict in Verdict))
    return 1 if Verdict.FAILED in verdicts else 0


def verify(console: Console, check: Check, stack: DeployedStack, timeout: float) -> Verdict:
    """Run one check until it passes or `timeout` seconds are over, and print how it ended."""
    end = time.monotonic() + timeout
    with console.status(check.promise) as status:
        while True:
            try:
                seen = check.run(stack)
            except Skipped as reason:
                console.print(f"[yellow]SKIP[/] {check.promise}: {escape(str(reason))}")
                return Verdict.SKIPPED
            except (Failed, LookupError, ApiException, urllib3.exceptions.HTTPError, ssl.SSLError, OSError) as failure:
                saw = str(failure).strip() or type(failure).__name__
            else:
                console.print(f"[green]PASS[/] {check.promise}: {escape(seen)}")
                return Verdict.PASSED
            if time.monotonic() > end:
                console.print(f"[red]FAIL[/] {check.promise}\n     saw: {escape(saw)}\n     look: {escape(check.look)}")
                return Verdict.FAILED
            status.update(f"{check.promise} [dim](waiting; saw: {escape(saw.splitlines()[0][:120])})[/]")
            time.sleep(PAUSE_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
