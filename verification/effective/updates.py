"""The promise that the gateways' proxies took every update: Envoy keeps what it had where it rejects a change."""

from collections.abc import Iterator
from functools import partial

from components.namespaced_name import NamespacedName
from proxies.dump import Dump
from verification.checks import Check
from verification.context import ClientContext
from verification.stack import DeployedStack, cluster_name

_LONGEST = 300


def checks(stack: DeployedStack) -> Iterator[Check]:
    """Yield the check of each connected cluster's gateway."""
    for path in stack.reached:
        if path == "target":
            if stack.outputs.target:
                yield _check(stack, path, stack.target_gateway)
        else:
            yield _check(stack, path, ClientContext(stack, path.removeprefix("clients.")).gateway)


def updates_are_taken(stack: DeployedStack, path: str, gateway: NamespacedName) -> str:
    """Read what each replica of a gateway rejected last."""
    return stack.dumps.of_gateway(stack.reached[path], path, gateway).judge(problems, "nothing is rejected")


def problems(dump: Dump) -> Iterator[str]:
    """Yield what a replica rejected."""
    for what, why in dump.rejected:
        yield f"rejects {what}: {why[:_LONGEST]}"


def _check(stack: DeployedStack, path: str, gateway: NamespacedName) -> Check:
    where = cluster_name(path)
    promise = f"the proxies of gateway {gateway} in the {where} took every update"
    look = f"{where}: istioctl proxy-status; istioctl analyze -A"
    run = partial(updates_are_taken, stack, path, gateway)
    return Check(
        "proxies", promise, "no listener, route or cluster that Envoy rejects, in any ready replica", run, look
    )
