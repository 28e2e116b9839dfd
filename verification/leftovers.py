"""The promise that each cluster has no objects with the stack's label but those of the stack's state.

A killed update may leave an object that no later update deletes.
"""

from collections.abc import Iterator
from functools import partial

from clusters import Cluster, Refused, parallel
from components.kinds import KINDS
from components.ownership import OWNER_LABEL
from components.readiness import called
from verification.checks import Check, Failed, Skipped
from verification.stack import DeployedStack, cluster_name
from verification.state import Object, State


def no_object_is_left(state: State, cluster: Cluster) -> str:
    """List the objects with the stack's label, of every kind that a stack can make, and compare them with the state.

    A kind that the cluster does not have has no objects.
    """
    kinds = kinds_of(state)
    answers = parallel(partial(_labelled, cluster, *each, state.owner) for each in kinds)
    found = {each for answer in answers for each in answer or ()}
    refused = [kind for (_, kind), answer in zip(kinds, answers, strict=True) if answer is None]
    unlisted = f"this user may not list {', '.join(refused)} in cluster {cluster.host}"
    if left := sorted(found - state.known_in(cluster.uid)):
        raise Failed("\n".join([*map(_left, left), *([unlisted] if refused else [])]))
    if refused:
        raise Skipped(f"{unlisted}; of the other kinds, nothing is left")
    return f"{len(found)} objects, all of them in the state"


def kinds_of(state: State) -> list[tuple[str, str]]:
    """Return each kind that a stack can make, or that this one made; a group's kinds at one version."""
    made = {(Object.of(version, kind, "", "").group, kind): version for version, kind in state.kinds}
    known = {(Object.of(version, kind, "", "").group, kind): version for kind, version in KINDS.items()}
    return sorted((version, kind) for (_, kind), version in {**known, **made}.items())


def _labelled(cluster: Cluster, api_version: str, kind: str, owner: str) -> set[Object] | None:
    """Return the objects of a kind with the stack's label; None if the user may not list them."""
    try:
        labelled = cluster.labelled(api_version, kind, {OWNER_LABEL: owner})
    except Refused:
        return None
    return {Object.of(api_version, kind, each.get("namespace", ""), each["name"]) for each in labelled}


def checks(stack: DeployedStack) -> Iterator[Check]:
    """Yield the check of each connected cluster."""
    kinds = ",".join(sorted({_resource(Object.of(*described, "", "")) for described in kinds_of(stack.state)}))
    for path, cluster in stack.reached.items():
        where = cluster_name(path)
        promise = f"the {where} has no further objects of the stack"
        look = f"{where}: kubectl get {kinds} -A -l {OWNER_LABEL}={stack.state.owner}"
        run = partial(no_object_is_left, stack.state, cluster)
        yield Check("clusters", promise, "no objects with the stack's label but those of its state", run, look)


def _left(left: Object) -> str:
    kubectl = f"kubectl -n {left.namespace}" if left.namespace else "kubectl"
    named = called(left.kind, left.namespace, left.name)
    return f"{named}; remove it with {kubectl} delete {_resource(left)} {left.name}"


def _resource(each: Object) -> str:
    """Return KIND.GROUP as kubectl takes it, without a group for the core API."""
    return f"{each.kind.lower()}.{each.group}" if each.group else each.kind.lower()
