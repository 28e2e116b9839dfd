"""What a plan says, and what a renewal brings."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.deployment import Refused, expect_previewed
from pipeline.plan import Plan
from pipeline.renewal import unexplained
from settings import ConfigError

STACK = "urn:pulumi:prod::kyma-mtls::"
CA = f"{STACK}kyma-mtls:index:Certificates$tls:index/selfSignedCert:SelfSignedCert::certificates-ca.1"
LEAF = f"{STACK}kyma-mtls:index:Certificates$tls:index/locallySignedCert:LocallySignedCert::certificates-host-orders.1"
SECRET = f"{STACK}kyma-mtls:index:MtlsHost$kubernetes:core/v1:Secret::target-orders-credential"
SERVICE = f"{STACK}kyma-mtls:index:MtlsHost$kubernetes:core/v1:Service::target-orders"
PROVIDER = f"{STACK}pulumi:providers:kubernetes::target-uid"
REPLACED = ["create-replacement", "replace", "delete-replaced"]

Resource = dict[str, Any]


def resource(*steps: str, on: tuple[str, ...] = (), **changes: Any) -> Resource:
    """Return a resource of a plan: its steps, what it depends on, and its changed inputs."""
    return {"goal": {"inputDiff": changes, "dependencies": [*on]}, "steps": [*steps], "state": {}}


def secret(text: str) -> Resource:
    """Return a secret as the engine writes it, with a ciphertext that is another one each time."""
    return {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "ciphertext": f"v1:{text}"}


@pytest.fixture
def plan_file(tmp_path: Path) -> Path:
    return tmp_path / "plan.json"


def plan_of(file: Path, resources: dict[str, Resource]) -> Plan:
    file.write_text(json.dumps({"manifest": {}, "resourcePlans": resources}))
    return Plan.read(file)


def renewal() -> dict[str, Resource]:
    return {
        CA: resource("same"),
        LEAF: resource(*REPLACED),
        SECRET: resource("update", on=(LEAF,), updates={"data": {"key": {}}}),
        SERVICE: resource("same"),
    }


@pytest.mark.parametrize(
    ("steps", "kind"),
    [
        (["create"], "create"),
        (["update"], "update"),
        (["delete"], "delete"),
        (REPLACED, "replace"),
        (["delete-replaced", "replace", "create-replacement"], "replace"),
        (["delete", "create"], "replace"),
    ],
)
def test_steps_amount_to_an_operation(plan_file: Path, steps: list[str], kind: str) -> None:
    (operation,) = plan_of(plan_file, {SERVICE: resource(*steps)}).operations
    assert (operation.kind, operation.type, operation.name) == (kind, "kubernetes:core/v1:Service", "target-orders")
    assert str(operation) == f"{kind} Service target-orders"


@pytest.mark.parametrize("steps", [[], ["same"], ["read"], ["refresh"]])
def test_resource_that_stays_has_no_operation(plan_file: Path, steps: list[str]) -> None:
    plan = plan_of(plan_file, {SERVICE: resource(*steps), CA: {"steps": steps, "state": {}}})
    assert plan.operations == ()
    assert plan.summary == "no changes"


@pytest.mark.parametrize("step", ["import", "import-replacement", "read-replacement", "anything"])
def test_step_that_is_not_known_is_refused(plan_file: Path, step: str) -> None:
    with pytest.raises(ConfigError, match=f"target-orders: the pipeline does not know the step {step}; deploy it by"):
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
def test_other_change_of_the_same_resource_has_another_digest(plan_file: Path, other: Resource) -> None:
    seen = digest(plan_file, SERVICE, updates={"spec": {"clients": ["a"]}})
    assert digest(plan_file, SERVICE, updates={"spec": {"clients": ["a"]}}) == seen
    assert digest(plan_file, SERVICE, **other) != seen


def test_digest_knows_neither_secrets_nor_the_credentials_of_a_cluster(plan_file: Path) -> None:
    first, second = (
        digest(plan_file, SECRET, updates={"data": secret(text), "metadata": [{"key": secret(text)}]}) for text in "ab"
    )
    assert first == second
    other = digest(plan_file, PROVIDER, updates={"kubeconfig": "a", "clusterIdentifier": "c"})
    assert digest(plan_file, PROVIDER, updates={"clusterIdentifier": "c"}) == other
    assert digest(plan_file, PROVIDER, updates={"clusterIdentifier": "d"}) != other
    assert digest(plan_file, SECRET, updates={"kubeconfig": "a"}) != digest(plan_file, SECRET)


def test_default_providers_are_no_operations(plan_file: Path) -> None:
    defaults = {f"{STACK}pulumi:providers:tls::default_5_1_1": resource("create")}
    assert plan_of(plan_file, defaults).operations == ()
    assert len(plan_of(plan_file, {PROVIDER: resource("create")}).operations) == 1


def test_empty_plan_has_no_operations(plan_file: Path) -> None:
    plan_file.write_text('{"manifest": {}}')
    assert Plan.read(plan_file).operations == ()


@pytest.mark.parametrize("text", ["", "[]", "{"])
def test_file_that_is_no_plan_is_refused(plan_file: Path, text: str) -> None:
    plan_file.write_text(text)
    with pytest.raises(ConfigError, match=r"plan\.json: not a plan that a preview saved"):
        Plan.read(plan_file)


def test_summary_counts_each_kind(plan_file: Path) -> None:
    assert plan_of(plan_file, renewal()).summary == "1 to update, 1 to replace"


def test_renewal_is_explained(plan_file: Path) -> None:
    assert unexplained(plan_of(plan_file, renewal())) == []


def test_renewal_of_a_ca_and_of_what_it_signed_is_explained(plan_file: Path) -> None:
    changes = renewal() | {CA: resource(*REPLACED), LEAF: resource(*REPLACED, on=(CA,), updates={"caCertPem": ""})}
    assert unexplained(plan_of(plan_file, changes)) == []


def test_credentials_of_a_cluster_may_change_beside_a_renewal(plan_file: Path) -> None:
    changes = renewal() | {PROVIDER: resource("update", updates={"kubeconfig": {}})}
    assert unexplained(plan_of(plan_file, changes)) == []


def test_carriers_of_what_gardener_renewed_are_explained(plan_file: Path) -> None:
    ready = f"{STACK}pulumi:index:Stash::gateway-certificate-ready"
    issued = f"{STACK}kyma-mtls:index:KymaGateway$kubernetes:cert.gardener.cloud/v1alpha1:Certificate::certificate"
    waited = {issued: resource("same"), ready: resource("same", on=(issued,))}
    carrier = resource("update", on=(ready,), updates={"data": {}})
    assert unexplained(plan_of(plan_file, {**waited, SECRET: carrier})) == []
    assert len(unexplained(plan_of(plan_file, {ready: resource("same"), SECRET: carrier}))) == 1
    assert len(unexplained(plan_of(plan_file, {**waited, issued: resource("update"), SECRET: carrier}))) == 1


@pytest.mark.parametrize(
    ("urn", "changed"),
    [
        (SERVICE, resource("update", updates={"spec": {}})),
        (SERVICE, resource("delete")),
        (SERVICE, resource("update", on=(LEAF,), updates={"data": {}})),
        (SECRET, resource("update", updates={"data": {}})),
        (SECRET, resource("update", on=(LEAF,), updates={"data": {}, "metadata": {}})),
        (SECRET, resource("update", on=(LEAF,), updates={"data": {}}, deletes=["type"])),
        (SECRET, resource(*REPLACED, on=(LEAF,), updates={"data": {}})),
        (SECRET, resource("create", on=(LEAF,), adds={"data": {}})),
        (LEAF, resource(*REPLACED, updates={"validityPeriodHours": 1})),
        (LEAF, resource("delete")),
        (CA, resource("create")),
        (PROVIDER, resource("update", updates={"kubeconfig": {}, "clusterIdentifier": ""})),
        (PROVIDER, resource("create")),
    ],
)
def test_anything_else_is_drift(plan_file: Path, urn: str, changed: Resource) -> None:
    drift = unexplained(plan_of(plan_file, renewal() | {urn: changed}))
    assert urn in {operation.urn for operation in drift}


def test_previewed_plan_is_accepted_and_less_than_it(plan_file: Path) -> None:
    plan = plan_of(plan_file, {SERVICE: resource("delete"), SECRET: resource("create")})
    expect_previewed(plan, frozenset(each.digest for each in plan.operations))
    expect_previewed(plan_of(plan_file, {}), frozenset(each.digest for each in plan.operations))


def test_renewal_and_other_credentials_need_no_preview(plan_file: Path) -> None:
    changes = renewal() | {PROVIDER: resource("update", updates={"kubeconfig": {}})}
    expect_previewed(plan_of(plan_file, changes), frozenset())


def test_operation_that_no_preview_told_is_refused_by_name(plan_file: Path) -> None:
    seen = plan_of(plan_file, {SERVICE: resource("update")})
    now = plan_of(plan_file, {SERVICE: resource("delete"), SECRET: resource("create")})
    with pytest.raises(Refused) as caught:
        expect_previewed(now, frozenset(each.digest for each in seen.operations))
    assert str(caught.value).splitlines()[1:] == [
        "  create Secret target-orders-credential",
        "  delete Service target-orders",
    ]
