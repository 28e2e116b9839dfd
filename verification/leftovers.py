"""What a stack promises of its clusters: they have each object of its state, and no other with its mark.

An update that is killed may leave one behind, and no later one would delete it. Envoy serves on with a Secret that is
gone, until it starts anew.
"""

from collections.abc import Iterator
from functools import partial

from clusters import Cluster
from components.ownership import OWNER_LABEL
from settings import ConfigError
from verification.checks import Check, Failed, Skipped
from verification.stack import DeployedStack, called
from verification.state import Object, State


def objects_are_those_of_the_state(state: State, cluster: Cluster) -> str:
    """List the objects with the stack's label, of every kind that it has anywhere."""
    found: set[Object] = set()
    refused: dict[tuple[str, str], str] = {}
    for api_version, kind in state.kinds:
        described = Object.of(api_version, kind, "", "")
        try:
            labelled = cluster.labelled(api_version, kind, {OWNER_LABEL: state.owner})
        except ConfigError as error:
            refused[described.group, kind] = str(error)
            continue
        found |= {Object.of(api_version, kind, each.get("namespace", ""), each["name"]) for each in labelled}
    left = sorted(found - state.known_in(cluster.uid))
    lost = sorted(each for each in state.needed_in(cluster.uid) - found if (each.group, each.kind) not in refused)
    if left or lost:
        raise Failed("\n".join([*map(_left, left), *map(_lost, lost)]))
    if refused:
        raise Skipped(next(iter(refused.values())))
    return f"{len(found)} objects of the stack, and no other with its label"


def checks(stack: DeployedStack) -> Iterator[Check]:
    """Yield the checks of each connected cluster."""
    kinds = ",".join(sorted({_resource(Object.of(*described, "", "")) for described in stack.state.kinds}))
    for path, cluster in stack.reached.items():
        where = called(path)
        promise = f"the {where} has the stack's objects, each of them and no other"
        look = f"{where}: kubectl get {kinds} -A -l {OWNER_LABEL}={stack.state.owner}"
        run = partial(objects_are_those_of_the_state, stack.state, cluster)
        yield Check("clusters", promise, "the objects of the stack's state, and no other with its label", run, look)


def _lost(lost: Object) -> str:
    place = f"{lost.namespace}/{lost.name}" if lost.namespace else lost.name
    return f"{lost.kind} {place} is gone, or has lost its label; `pulumi preview` says what to do"


def _left(left: Object) -> str:
    if not left.namespace:
        return f"{left.kind} {left.name}; remove it with kubectl delete {_resource(left)} {left.name}"
    remedy = f"kubectl -n {left.namespace} delete {_resource(left)} {left.name}"
    return f"{left.kind} {left.namespace}/{left.name}; remove it with {remedy}"


def _resource(each: Object) -> str:
    """Return the kind in the form that kubectl takes for no other group's."""
    return f"{each.kind.lower()}.{each.group}" if each.group else each.kind.lower()
