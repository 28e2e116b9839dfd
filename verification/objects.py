"""The promise that each cluster has the objects of the stack's state, field by field as the stack made them.

Requests do not tell: if a Secret is deleted, Envoy keeps the certificate until its Pod restarts.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from clusters import Cluster, Refused, parallel
from components.comparison import differences, lacking
from components.ownership import OWNER_LABEL, Owner
from components.readiness import called
from components.secret_contents import CONTENTS_ANNOTATION
from verification.checks import Check, Failed, Skipped
from verification.stack import DeployedStack, cluster_name
from verification.state import State

_REMEDY = "`pulumi preview` shows the remedy"
_Manifests = Sequence[Mapping[str, Any]]
_Listed = Mapping[tuple[str, str], Any] | None


def objects_are_as_made(state: State, cluster: Cluster, manifests: _Manifests, patches: _Manifests = ()) -> str:
    """Compare objects with what the stack applied: the manifests, and the fields that it set in objects of others.

    Of each kind, the cluster lists the objects with the stack's label. Objects that are not among them, and those of
    kinds that may not be listed, are read by name. One that may not be read, and a Secret of which nothing says what it
    must hold, skips the check, unless another one is wrong.
    """
    owner = Owner(state.owner)
    kinds = sorted({(each["apiVersion"], each["kind"]) for each in manifests})
    labels = {OWNER_LABEL: state.owner}
    listed = parallel(partial(cluster.listed, *each, labels) for each in kinds)
    found = dict(zip(kinds, listed, strict=True))
    compared = [partial(_compared, cluster, each, found, owner) for each in manifests]
    answers = parallel([*compared, *(partial(_patched, cluster, each) for each in patches)])
    if problems := sorted(line for lines, _ in answers for line in lines):
        raise Failed("\n".join(problems))
    if unknown := [reason for _, reason in answers if reason]:
        raise Skipped(
            f"{unknown[0]}; {len(answers) - len(unknown)} of {len(answers)} objects are as the stack made them"
        )
    and_fields = f", and its fields of {len(patches)} of Kyma's" if patches else ""
    return f"{len(manifests)} objects, as the stack made them{and_fields}"


def _compared(
    cluster: Cluster, applied: Mapping[str, Any], found: Mapping[tuple[str, str], _Listed], owner: Owner
) -> tuple[list[str], str]:
    """Return what is wrong with an object, and why that is not known whole: such as that the user may not read it."""
    api_version, kind, metadata = applied["apiVersion"], applied["kind"], applied["metadata"]
    namespace, name = metadata.get("namespace", ""), metadata["name"]
    named, listed = called(kind, namespace, name), found[api_version, kind]
    live = (listed or {}).get((namespace, name))
    try:
        live = live or cluster.find(api_version, kind, namespace, name)
    except Refused as error:
        is_wrong = listed is not None
        return ([f"{named} is gone, or has lost its label; {_REMEDY}"], "") if is_wrong else ([], str(error))
    if live is None:
        return [f"{named} is gone; {_REMEDY}"], ""
    if not owner.owns(live["metadata"]):
        return [f"{named} has lost its label {OWNER_LABEL}={owner.mark}; {_REMEDY}"], ""
    if "deletionTimestamp" in live["metadata"]:
        return [f"{named} is being deleted; once it is gone, `pulumi up --refresh` makes it anew"], ""
    lines = [f"{named}: {each}{'' if each.remedy else f'; {_REMEDY}'}" for each in differences(applied, live)]
    return lines, _undescribed(applied, named)


def _undescribed(applied: Mapping[str, Any], named: str) -> str:
    """Say so if the stack filled a Secret, and no annotation describes its contents; Gardener fills its own."""
    is_filled = applied["kind"] == "Secret" and "data" in applied
    if not is_filled or CONTENTS_ANNOTATION in (applied["metadata"].get("annotations") or {}):
        return ""
    return f"{named} has no annotation {CONTENTS_ANNOTATION} in the state: the next `pulumi up` writes it"


def _patched(cluster: Cluster, patch: Mapping[str, Any]) -> tuple[list[str], str]:
    """Return the fields that an object of others no longer has, and the refusal if the user may not read it."""
    api_version, kind, metadata = patch["apiVersion"], patch["kind"], patch["metadata"]
    namespace, name = metadata.get("namespace", ""), metadata["name"]
    try:
        live = cluster.find(api_version, kind, namespace, name)
    except Refused as error:
        return [], str(error)
    unset = lacking(patch["spec"], (live or {}).get("spec"))
    named = called(kind, namespace, name)
    return [f"{named} no longer has {each}, which the stack set; {_REMEDY}" for each in unset], ""


def checks(stack: DeployedStack) -> Iterator[Check]:
    """Yield the checks of each connected cluster: of its objects, and of its Secrets, which fewer users may read."""
    expected = "each field that the stack applied, and none beside it that others set"
    for path, cluster in stack.reached.items():
        where = cluster_name(path)
        label = f"-A -l {OWNER_LABEL}={stack.state.owner} -o yaml --show-managed-fields"
        of_objects, of_secrets = partial(_check, stack.state, cluster), partial(_check, stack.state, cluster, True)
        yield Check(
            "clusters",
            f"the {where} has the stack's objects as it made them",
            expected,
            of_objects,
            f"{where}: kubectl get KIND {label}",
        )
        yield Check(
            "clusters",
            f"the {where} has the stack's Secrets with its certificates",
            "the certificates and CAs that the stack issued, their keys, and no further entries",
            of_secrets,
            f"{where}: kubectl -n NAMESPACE describe secret NAME",
        )


def _check(state: State, cluster: Cluster, secrets: bool = False) -> str:
    manifests = [each for each in state.manifests_in(cluster.uid) if (each["kind"] == "Secret") == secrets]
    return objects_are_as_made(state, cluster, manifests, () if secrets else state.patches_in(cluster.uid))
