"""The promise that the gateways' proxies took every update of the listener of the stack's hosts.

Where Envoy rejects a change, it keeps what it had. A listener of others that it rejects changes nothing for the stack.
"""

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
    port = stack.dumps.gateway(stack.reached[path], path, gateway).port
    answers = stack.dumps.of_gateway(stack.reached[path], path, gateway)
    return answers.judge(partial(problems, port=port), "nothing is rejected")


def problems(dump: Dump, port: int) -> Iterator[str]:
    """Yield what a replica rejected.

    port: of its Pods, for TLS
    """
    for listener, why in dump.rejections(port):
        yield f"rejects listener {listener}: {' '.join(why.split())[:_LONGEST]}"


def _check(stack: DeployedStack, path: str, gateway: NamespacedName) -> Check:
    where = cluster_name(path)
    promise = f"gateway {gateway} in the {where} took every update of its listener for TLS"
    look = f"{where}: istioctl proxy-status; istioctl analyze -A"
    run = partial(updates_are_taken, stack, path, gateway)
    return Check("proxies", promise, "no change that Envoy rejects, in any ready replica", run, look)
