"""Policies of a mesh that denies by default: its refusals say nothing about the stack's promises.

An AuthorizationPolicy that allows nothing denies each request that no further one allows; that of the root namespace,
for all workloads: https://istio.io/latest/docs/concepts/security/#allow-nothing-deny-all-and-allow-all-policy
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from kubernetes.client import ApiException, CustomObjectsApi

from components.ownership import OWNER_LABEL
from verification.checks import Denied, Unjudged
from verification.pods import REQUEST_SECONDS
from verification.stack import DeployedStack, cluster_name

ROOT = "istio-system"


def explained(stack: DeployedStack, namespaces: Mapping[str, set[str]], run: Callable[[], str]) -> str:
    """Run a check; raise Unjudged if a policy refused what the stack admits, and the mesh denies by default.

    namespaces: whose policies may refuse the request, by the path of the cluster
    """
    try:
        return run()
    except Denied as denied:
        for path, names in namespaces.items():
            if path in stack.reached:
                for policy in _denying(stack, path, names | {ROOT}):
                    raise Unjudged(
                        f"{denied}; in the {cluster_name(path)}, AuthorizationPolicy {policy}, which is not the "
                        "stack's, denies every request: allow these ones by a policy beside it"
                    ) from None
        raise


def _denying(stack: DeployedStack, path: str, namespaces: set[str]) -> Iterator[str]:
    custom = CustomObjectsApi(stack.reached[path].api)
    for namespace in sorted(namespaces):
        try:
            found: Any = custom.list_namespaced_custom_object(
                "security.istio.io", "v1", namespace, "authorizationpolicies", _request_timeout=REQUEST_SECONDS
            )
        except ApiException:  # then the refusal is the whole result
            continue
        for policy in found.get("items") or []:
            metadata = policy["metadata"]
            is_own = (metadata.get("labels") or {}).get(OWNER_LABEL) == stack.state.owner
            if not is_own and _denies_everything(policy.get("spec") or {}):
                yield f"{namespace}/{metadata['name']}"


def _denies_everything(spec: Mapping[str, Any]) -> bool:
    if any(spec.get(field) for field in ("selector", "targetRef", "targetRefs")):
        return False
    rules = spec.get("rules") or []
    return {} in rules if spec.get("action") == "DENY" else not rules and spec.get("action", "ALLOW") == "ALLOW"
