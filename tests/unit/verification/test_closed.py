"""Closed namespaces, with fakes for their NetworkPolicies."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from kubernetes.client import CustomObjectsApi

from clusters import Cluster
from tests.unit.deployed import BILLING, demo_stack
from tests.unit.verification.promises import closed
from verification.checks import Failed
from verification.closed import checks
from verification.context import ClientContext
from verification.state import State

NAME = "network-policy-allow-egress-traffic-mtls"
OWN_RULE: dict[str, Any] = {"to": [{"podSelector": {}}]}
ALL = {"ipBlock": {"cidr": "0.0.0.0/1"}}


def policy(name: str, *egress: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    spec = {"podSelector": {}, "policyTypes": ["Egress"], "egress": list(egress)}
    return {"kind": "NetworkPolicy", "metadata": {"name": name, "namespace": "shop", **metadata}, "spec": spec}


def seen(monkeypatch: pytest.MonkeyPatch, *found: dict[str, Any], applied: bool = True) -> str:
    """Return the result of the check of namespace shop with these policies, or `FAILED: ` and why."""
    stack = demo_stack(clients={"warehouse": {**BILLING, "networkPolicy": "callers"}})
    state = State(owner="0a1b", manifests=(("clients.warehouse-1", policy(NAME, OWN_RULE)),) if applied else ())
    reached = {"clients.warehouse": cast(Cluster, SimpleNamespace(uid="1", api=None))}
    asked: list[tuple[str, ...]] = []

    def listed(_: object, *path: str, **__: object) -> dict[str, Any]:
        asked.append(path)
        return {"items": list(found)}

    monkeypatch.setattr(CustomObjectsApi, "list_namespaced_custom_object", listed)
    client = ClientContext(replace(stack, state=state, reached=reached), "warehouse")
    try:
        return next(check for check in checks(client) if check.promise == closed("shop")).run()
    except Failed as failure:
        return f"FAILED: {failure}"
    finally:
        assert not applied or asked == [("networking.k8s.io", "v1", "shop", "networkpolicies")]


def test_namespace_is_closed_by_the_stacks_policy_and_opened_by_none(monkeypatch: pytest.MonkeyPatch) -> None:
    own = policy(NAME, OWN_RULE)
    assert seen(monkeypatch, own) == "1 NetworkPolicy admits no more than the stack's"
    further = policy("database", {"to": [{"podSelector": {"matchLabels": {"app": "db"}}}]})
    assert seen(monkeypatch, own, further) == "2 NetworkPolicies admit no more than the stack's"


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([], f"NetworkPolicy shop/{NAME} does not close all Pods"),
        ([policy("other", OWN_RULE)], f"NetworkPolicy shop/{NAME} does not close all Pods"),
        ([policy(NAME, {})], f"NetworkPolicy shop/{NAME} admits 0.0.0.0/0, ::/0, Pods of every namespace, which"),
        (
            [policy(NAME, OWN_RULE), policy("open", {"to": [ALL]})],
            "NetworkPolicy shop/open admits 0.0.0.0/1, which the",
        ),
        (
            [policy(NAME, OWN_RULE), policy("open", {"to": [ALL]}, labels={"kyma-mtls/owner": "ffff"})],
            "NetworkPolicy shop/open admits",
        ),
        (
            [policy(NAME, OWN_RULE), policy("open", *({"to": [ALL], "ports": [{"port": each}]} for each in range(5)))],
            "NetworkPolicy shop/open admits 0.0.0.0/1 at TCP 0, 0.0.0.0/1 at TCP 1, 0.0.0.0/1 at TCP 2 and 2 more,",
        ),
    ],
)
def test_namespace_that_a_policy_opens_is_reported(
    monkeypatch: pytest.MonkeyPatch, found: list[dict[str, Any]], expected: str
) -> None:
    assert seen(monkeypatch, *found).startswith(f"FAILED: {expected}")


def test_policy_of_another_stack_is_for_its_config_to_decide_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "network-policy-allow-egress-traffic-b"
    other = policy(name, {"to": [ALL]}, labels={"kyma-mtls/owner": "ffff"})
    assert seen(monkeypatch, policy(NAME, OWN_RULE), other) == (
        f"1 NetworkPolicy admits no more than the stack's; but NetworkPolicy shop/{name} admits 0.0.0.0/1 for the "
        "stack with owner ffff, if that still exists"
    )


def test_policy_of_another_stack_that_opens_nothing_is_not_named(monkeypatch: pytest.MonkeyPatch) -> None:
    other = policy("network-policy-allow-egress-traffic-b", OWN_RULE, labels={"kyma-mtls/owner": "ffff"})
    assert seen(monkeypatch, policy(NAME, OWN_RULE), other) == "2 NetworkPolicies admit no more than the stack's"


def test_namespace_without_a_policy_in_the_state_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "state has no NetworkPolicy of namespace shop" in seen(monkeypatch, applied=False)
