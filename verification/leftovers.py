"""The promise that each cluster has exactly the objects of the stack's state with the stack's label.

A killed update may leave an object that no later update deletes. If a Secret is deleted, Envoy keeps the certificate
until its Pod restarts.
"""

from collections.abc import Iterator
from functools import partial

from clusters import Cluster
from components.ownership import OWNER_LABEL
from components.readiness import called
from settings import ConfigError
from verification.checks import Check, Failed, Skipped
from verification.stack import DeployedStack, cluster_name
from verification.state import Object, State


def objects_are_those_of_the_state(state: State, cluster: Cluster) -> str:
    """List the objects with the stack's label, of every kind in its state, and compare them with the state."""
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
    return f"{len(found)} objects, exactly those of the state"


def checks(stack: DeployedStack) -> Iterator[Check]:
    """Yield the checks of each connected cluster."""
    kinds = ",".join(sorted({_resource(Object.of(*described, "", "")) for described in stack.state.kinds}))
    for path, cluster in stack.reached.items():
        where = cluster_name(path)
        promise = f"the {where} has exactly the stack's objects"
        look = f"{where}: kubectl get {kinds} -A -l {OWNER_LABEL}={stack.state.owner}"
        run = partial(objects_are_those_of_the_state, stack.state, cluster)
        yield Check("clusters", promise, "exactly the objects of the stack's state with the stack's label", run, look)


def _lost(lost: Object) -> str:
    named = called(lost.kind, lost.namespace, lost.name)
    return f"{named} is gone, or has lost its label; `pulumi preview` shows the remedy"


def _left(left: Object) -> str:
    kubectl = f"kubectl -n {left.namespace}" if left.namespace else "kubectl"
    named = called(left.kind, left.namespace, left.name)
    return f"{named}; remove it with {kubectl} delete {_resource(left)} {left.name}"


def _resource(each: Object) -> str:
    """Return KIND.GROUP as kubectl takes it, without a group for the core API."""
    return f"{each.kind.lower()}.{each.group}" if each.group else each.kind.lower()
