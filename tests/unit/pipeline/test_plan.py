"""Operations of a plan."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.plan import Plan
from settings import ConfigError
from tests.unit.pipeline.plans import (
    CA,
    PROVIDER,
    REPLACED,
    SECRET,
    SERVICE,
    STACK,
    Resource,
    plan_of,
    renewal,
    resource,
    secret,
)


@pytest.mark.parametrize(
    ("steps", "kind"),
    [
        (["create"], "create"),
        (["update"], "update"),
        (["delete"], "delete"),
        (["delete-replaced", "remove-pending-replace"], "delete"),
        (REPLACED, "replace"),
        (["delete-replaced", "replace", "create-replacement"], "replace"),
        (["delete", "create"], "replace"),
    ],
)
def test_steps_make_an_operation(plan_file: Path, steps: list[str], kind: str) -> None:
    (operation,) = plan_of(plan_file, {SERVICE: resource(*steps)}).operations
    assert (operation.kind, operation.type, operation.name) == (kind, "kubernetes:core/v1:Service", "target-orders")
    assert str(operation) == f"{kind} Service target-orders"


@pytest.mark.parametrize("steps", [[], ["same"], ["read"], ["refresh"]])
def test_unchanged_resource_has_no_operation(plan_file: Path, steps: list[str]) -> None:
    plan = plan_of(plan_file, {SERVICE: resource(*steps), CA: {"steps": steps, "state": {}}})
    assert plan.operations == ()
    assert plan.summary == "no changes"


@pytest.mark.parametrize("step", ["import", "import-replacement", "read-replacement", "anything"])
def test_unknown_step_is_refused(plan_file: Path, step: str) -> None:
    with pytest.raises(
        ConfigError, match=f"target-orders: the pipeline does not know the step {step}; deploy the stack by"
    ):
        plan_of(plan_file, {SERVICE: resource("same", step)})


def digest(file: Path, urn: str, **changes: Any) -> str:
    (operation,) = plan_of(file, {urn: resource("update", **changes)}).operations
    return operation.digest


@pytest.mark.parametrize(
    "other",
    [
        {"updates": {"spec": {"clients": ["a", "b"]}}},
        {"updates": {"spec": {"clients": ["a"]}, "metadata": {}}},
        {"updates": {"metadata": {"clients": ["a"]}}},
        {"updates": {"spec": {"clients": [secret("x")]}}},
        {"deletes": ["spec"]},
        {},
    ],
)
def test_different_change_of_a_resource_has_a_different_digest(plan_file: Path, other: Resource) -> None:
    seen = digest(plan_file, SERVICE, updates={"spec": {"clients": ["a"]}})
    assert digest(plan_file, SERVICE, updates={"spec": {"clients": ["a"]}}) == seen
    assert digest(plan_file, SERVICE, **other) != seen


def test_digest_leaves_out_secrets_and_credentials_of_clusters(plan_file: Path) -> None:
    first, second = (
        digest(plan_file, SECRET, updates={"data": secret(text), "metadata": [{"key": secret(text)}]}) for text in "ab"
    )
    assert first == second
    other = digest(plan_file, PROVIDER, updates={"kubeconfig": "a", "clusterIdentifier": "c"})
    assert digest(plan_file, PROVIDER, updates={"clusterIdentifier": "c"}) == other
    assert digest(plan_file, PROVIDER, updates={"clusterIdentifier": "d"}) != other
    assert digest(plan_file, SECRET, updates={"kubeconfig": "a"}) != digest(plan_file, SECRET)


def test_default_providers_are_left_out(plan_file: Path) -> None:
    defaults = {f"{STACK}pulumi:providers:tls::default_5_1_1": resource("create")}
    assert plan_of(plan_file, defaults).operations == ()
    assert len(plan_of(plan_file, {PROVIDER: resource("create")}).operations) == 1


def test_other_credentials_are_no_operation(plan_file: Path) -> None:
    other = {PROVIDER: resource("update", updates={"kubeconfig": secret("a")})}
    assert plan_of(plan_file, other).operations == ()
    assert plan_of(plan_file, other).summary == "no changes"
    with_version = {PROVIDER: resource("update", updates={"kubeconfig": secret("a"), "version": "4.26.0"})}
    assert plan_of(plan_file, with_version).summary == "1 to update"
    assert plan_of(plan_file, {PROVIDER: resource("delete")}).summary == "1 to delete"


def test_empty_plan_has_no_operations(plan_file: Path) -> None:
    plan_file.write_text('{"manifest": {}}')
    assert Plan.read(plan_file).operations == ()


@pytest.mark.parametrize("text", ["", "[]", "{"])
def test_file_without_a_plan_is_refused(plan_file: Path, text: str) -> None:
    plan_file.write_text(text)
    with pytest.raises(ConfigError, match=r"plan\.json: not a plan that a preview saved"):
        Plan.read(plan_file)


def test_summary_counts_each_kind(plan_file: Path) -> None:
    assert plan_of(plan_file, renewal()).summary == "1 to update, 1 to replace"
