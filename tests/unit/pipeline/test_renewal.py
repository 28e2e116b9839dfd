"""The operations that a renewal explains."""

from pathlib import Path

import pytest

from pipeline.renewal import unexplained
from tests.unit.pipeline.plans import (
    CA,
    DEPLOYED,
    LEAF,
    PROVIDER,
    REPLACED,
    SECRET,
    SERVICE,
    STACK,
    UNKNOWN,
    Resource,
    described,
    plan_of,
    renewal,
    resource,
)


def test_renewal_is_explained(plan_file: Path) -> None:
    assert unexplained(plan_of(plan_file, renewal()), DEPLOYED) == []


@pytest.mark.parametrize("metadata", [UNKNOWN, {"name": "orders", "annotations": UNKNOWN}], ids=["whole", "part"])
def test_object_whose_metadata_is_not_known_yet_is_no_renewal(plan_file: Path, metadata: object) -> None:
    """Expect a new stack without `namespace` to be judged like any other: its namespace is a random name."""
    created = {SECRET: resource("create", adds={"metadata": metadata, "data": UNKNOWN})}
    assert [each.urn for each in unexplained(plan_of(plan_file, created), {})] == [SECRET]
    updated = renewal() | {SECRET: resource("update", on=(LEAF,), updates={"metadata": metadata})}
    assert [each.urn for each in unexplained(plan_of(plan_file, updated), DEPLOYED)] == [SECRET]


def test_renewal_of_a_ca_and_of_what_it_signed_is_explained(plan_file: Path) -> None:
    changes = renewal() | {CA: resource(*REPLACED), LEAF: resource(*REPLACED, on=(CA,), updates={"caCertPem": ""})}
    assert unexplained(plan_of(plan_file, changes), DEPLOYED) == []


def test_credentials_of_a_cluster_may_change_beside_a_renewal(plan_file: Path) -> None:
    changes = renewal() | {PROVIDER: resource("update", updates={"kubeconfig": {}})}
    assert unexplained(plan_of(plan_file, changes), DEPLOYED) == []


def test_carriers_of_gardeners_certificates_are_explained(plan_file: Path) -> None:
    ready = f"{STACK}pulumi:index:Stash::gateway-certificate-ready"
    issued = f"{STACK}kyma-mtls:index:KymaGateway$kubernetes:cert.gardener.cloud/v1alpha1:Certificate::certificate"
    waited = {issued: resource("same"), ready: resource("same", on=(issued,))}
    carrier = resource("update", on=(ready,), updates={"data": {}})
    assert unexplained(plan_of(plan_file, {**waited, SECRET: carrier}), DEPLOYED) == []
    assert len(unexplained(plan_of(plan_file, {ready: resource("same"), SECRET: carrier}), DEPLOYED)) == 1
    assert len(unexplained(plan_of(plan_file, {**waited, issued: resource("update"), SECRET: carrier}), DEPLOYED)) == 1


def test_waits_for_what_a_renewal_changes_are_explained(plan_file: Path) -> None:
    wait = f"{STACK}pulumi:index:Stash::target-orders-gateway-ready"
    follows = resource("update", on=(SECRET,), updates={"input": {}})
    assert unexplained(plan_of(plan_file, renewal() | {wait: follows}), DEPLOYED) == []

    follows_nothing = {wait: resource("update", updates={"input": {}})}
    assert len(unexplained(plan_of(plan_file, renewal() | follows_nothing), DEPLOYED)) == 1


@pytest.mark.parametrize(
    ("urn", "changed"),
    [
        (SERVICE, resource("update", updates={"spec": {}})),
        (SERVICE, resource("delete")),
        (SERVICE, resource("update", on=(LEAF,), updates={"data": {}})),
        (SECRET, resource("update", updates={"data": {}})),
        (SECRET, resource("update", on=(LEAF,), updates={"data": {}, "metadata": {}})),
        (SECRET, resource("update", on=(LEAF,), updates={"data": {}, "metadata": described(UNKNOWN, a="b")})),
        (SECRET, resource("update", updates={"data": {}, "metadata": described(UNKNOWN)})),
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
def test_operation_outside_a_renewal_is_drift(plan_file: Path, urn: str, changed: Resource) -> None:
    drift = unexplained(plan_of(plan_file, renewal() | {urn: changed}), DEPLOYED)
    assert urn in {operation.urn for operation in drift}
