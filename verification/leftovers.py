"""What a stack promises of its clusters: no object there bears its mark that its state does not know.

An update that is killed may leave one behind, and no later one would delete it.
"""

from collections.abc import Iterator
from functools import partial

from clusters import Cluster
from components.lifecycle import OWNER
from settings import ConfigError
from verification.checks import Check, Failed, Skipped
from verification.stack import DeployedStack
from verification.state import Object, State


def nothing_is_left(state: State, cluster: Cluster) -> str:
    """List the objects with the stack's label, of every kind that it has anywhere."""
    found: set[Object] = set()
    refused: list[str] = []
    for api_version, kind in state.kinds:
        try:
            labelled = cluster.labelled(api_version, kind, f"{OWNER}={state.owner}")
        except ConfigError as error:
            refused.append(str(error))
            continue
        found |= {Object.of(api_version, kind, each.get("namespace", ""), each["name"]) for each in labelled}
    if left := sorted(found - state.known_in(cluster.uid)):
        raise Failed("\n".join(map(_told, left)))
    if refused:
        raise Skipped(refused[0])
    return f"{len(found)} objects of the stack, and no other with its label"


def checks(stack: DeployedStack) -> Iterator[Check]:
    """What is tried on each cluster that is connected."""
    kinds = ",".join(sorted({_resource(Object.of(*described, "", "")) for described in stack.state.kinds}))
    for path, cluster in stack.reached.items():
        where = "target cluster" if path == "target" else f"cluster of client {path.removeprefix('clients.')}"
        promise = f"nothing of an interrupted update is left in the {where}"
        look = f"{where}: kubectl get {kinds} -A -l {OWNER}={stack.state.owner}"
        yield Check("clusters", promise, partial(nothing_is_left, stack.state, cluster), look)


def _told(left: Object) -> str:
    if not left.namespace:
        return f"{left.kind} {left.name}; remove it with kubectl delete {_resource(left)} {left.name}"
    remedy = f"kubectl -n {left.namespace} delete {_resource(left)} {left.name}"
    return f"{left.kind} {left.namespace}/{left.name}; remove it with {remedy}"


def _resource(each: Object) -> str:
    """The kind as kubectl takes it for no other group's."""
    return f"{each.kind.lower()}.{each.group}" if each.group else each.kind.lower()
