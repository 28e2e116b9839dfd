"""The promise that Pods of closed namespaces reach no more than the stack's NetworkPolicies allow.

Any further NetworkPolicy of such a namespace adds to what its Pods reach. The policies are read, in every mode: no Pod
of the user's has to call anything.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from kubernetes.client import CustomObjectsApi

from components.ownership import OWNER_LABEL
from settings import NetworkPolicy
from verification.checks import Check, Failed
from verification.context import ClientContext
from verification.pods import REQUEST_SECONDS
from verification.reach import Rule, beyond, closes, egress_of

_SHOWN = 3
_KIND, _NAME = "NetworkPolicy", "network-policy-allow-egress-traffic-"


def checks(client: ClientContext) -> Iterator[Check]:
    """Yield a check for the stack's own namespace in the client's cluster, and for each namespace of its callers."""
    chosen, own = client.settings.network_policy, client.output.namespace
    others = [name for name in client.settings.caller_namespaces if name != own]
    if chosen == NetworkPolicy.NONE:
        if client.settings.demo:
            return  # clients.py says so
        yield client.skipped(_promise(", ".join([own, *others])), "networkPolicy is none: no namespace is closed")
        return
    yield _check(client, own)
    if chosen == NetworkPolicy.CALLERS:
        for namespace in others:
            yield _check(client, namespace)
    elif others:
        reason = "networkPolicy is own: the callers' Pods may connect past the egress gateway"
        yield client.skipped(_promise(", ".join(others)), reason)


def namespace_is_closed(client: ClientContext, namespace: str) -> str:
    """Compare what all NetworkPolicies of a namespace admit with the rules that the stack applied there."""
    own = [each for each in _applied(client) if each["metadata"].get("namespace") == namespace]
    if not own:
        raise Failed(f"the stack's state has no {_KIND} of namespace {namespace}; `pulumi up` makes it")
    found = _policies(client, namespace)
    names = {each["metadata"]["name"] for each in own}
    if not any(closes(each) for each in found if each["metadata"]["name"] in names):
        named = f"{_KIND} {namespace}/{next(iter(names))}"
        raise Failed(f"{named} does not close all Pods of the namespace; `pulumi up --refresh` repairs it")
    allowed = [rule for each in own for rule in egress_of(each)]
    opened, unjudged = [], []
    for policy in found:
        named = f"{_KIND} {namespace}/{policy['metadata']['name']}"
        if more := list(dict.fromkeys(_beyond(policy, allowed, namespace))):
            if mark := _other_owner(client, policy):
                unjudged.append(f"{named} admits {_listed(more)} for the stack with owner {mark}, if that still exists")
            else:
                opened.append(f"{named} admits {_listed(more)}, which the stack does not allow")
    if opened:
        raise Failed("\n".join(opened))
    kept = len(found) - len(unjudged)
    counted = f"1 {_KIND} admits" if kept == 1 else f"{kept} NetworkPolicies admit"
    return "; but ".join([f"{counted} no more than the stack's", *unjudged])


def _beyond(policy: Mapping[str, Any], allowed: Sequence[Rule], namespace: str) -> Iterator[str]:
    for rule in egress_of(policy):
        yield from beyond(rule, allowed, namespace)


def _listed(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return ", ".join(texts[:_SHOWN]) + more


def _check(client: ClientContext, namespace: str) -> Check:
    look = client.look(f"kubectl -n {namespace} get networkpolicies -o yaml; allowedDestinations allows more")
    run = partial(namespace_is_closed, client, namespace)
    return client.check(_promise(namespace), "only destinations that the stack's NetworkPolicy allows", run, look)


def _promise(namespace: str) -> str:
    return f"no NetworkPolicy opens namespace {namespace}"


def _other_owner(client: ClientContext, policy: Mapping[str, Any]) -> str:
    """Return the mark of another stack that closes the namespace, too; empty if there is none.

    Its config decides what that policy admits. Whether it still exists cannot be seen from here.
    """
    metadata = policy["metadata"]
    mark = str((metadata.get("labels") or {}).get(OWNER_LABEL, ""))
    return mark if mark != client.stack.state.owner and metadata["name"].startswith(_NAME) else ""


def _applied(client: ClientContext) -> list[Mapping[str, Any]]:
    cluster = client.stack.reached[f"clients.{client.name}"]
    return [each for each in client.stack.state.manifests_in(cluster.uid) if each.get("kind") == _KIND]


def _policies(client: ClientContext, namespace: str) -> list[dict[str, Any]]:
    found: Any = CustomObjectsApi(client.stack.reached[f"clients.{client.name}"].api).list_namespaced_custom_object(
        "networking.k8s.io", "v1", namespace, "networkpolicies", _request_timeout=REQUEST_SECONDS
    )
    return list(found.get("items") or [])
