"""Refusals of a mesh that denies by default."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from kubernetes.client import ApiException, CustomObjectsApi

from clusters import Cluster
from tests.unit.deployed import demo_stack
from verification.checks import Denied, Failed, Unjudged
from verification.context import HostContext
from verification.state import State


def policy(name: str, spec: dict[str, Any], **labels: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": labels}, "spec": spec}


def seen(monkeypatch: pytest.MonkeyPatch, error: Exception, *found: dict[str, Any], may_list: bool = True) -> str:
    """Return how a check of a host ends that raises this error, while istio-system has these policies."""

    def listed(_: object, __: str, ___: str, namespace: str, *____: str, **_____: object) -> dict[str, Any]:
        if not may_list:
            raise ApiException(403, "Forbidden")
        return {"items": list(found) if namespace == "istio-system" else []}

    def run() -> str:
        raise error

    monkeypatch.setattr(CustomObjectsApi, "list_namespaced_custom_object", listed)
    reached = {"target": cast(Cluster, SimpleNamespace(api=None))}
    host = HostContext(replace(demo_stack(), state=State(owner="0a1b"), reached=reached), "httpbin")
    with pytest.raises((Failed, Unjudged)) as caught:
        host.check("it is admitted", "200", run).run()
    return f"{type(caught.value).__name__}: {caught.value}"


DENIED = Denied("got 403")
EXPLAINED = "Unjudged: got 403; in the target cluster, AuthorizationPolicy istio-system/all, which is not the stack's"


@pytest.mark.parametrize("spec", [{}, {"action": "ALLOW"}, {"action": "DENY", "rules": [{}]}])
def test_refusal_of_a_mesh_that_denies_by_default_is_unjudged(
    monkeypatch: pytest.MonkeyPatch, spec: dict[str, Any]
) -> None:
    assert seen(monkeypatch, DENIED, policy("all", spec)).startswith(EXPLAINED)


@pytest.mark.parametrize(
    "found",
    [
        [],
        [policy("one", {"selector": {"matchLabels": {"app": "a"}}})],
        [policy("open", {"rules": [{}]})],
        [policy("some", {"action": "DENY", "rules": [{"to": []}]})],
        [policy("audit", {"action": "AUDIT"})],
        [policy("own", {}, **{"kyma-mtls/owner": "0a1b"})],
    ],
)
def test_refusal_of_the_stacks_own_policy_is_a_broken_promise(
    monkeypatch: pytest.MonkeyPatch, found: list[dict[str, Any]]
) -> None:
    assert seen(monkeypatch, DENIED, *found) == "Denied: got 403"


def test_further_failure_is_not_explained_by_policies(monkeypatch: pytest.MonkeyPatch) -> None:
    assert seen(monkeypatch, Failed("got 503"), policy("all", {})) == "Failed: got 503"


def test_refusal_stands_without_the_right_to_list_policies(monkeypatch: pytest.MonkeyPatch) -> None:
    assert seen(monkeypatch, DENIED, policy("all", {}), may_list=False) == "Denied: got 403"
