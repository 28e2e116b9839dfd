"""Drift: objects that a cluster lacks, or that changed hands, and changed fields of patches."""

from typing import Any

import pulumi
import pytest

from tests.unit.components.parts import (
    ANOTHERS,
    CERTS,
    GATEWAY,
    ISTIO,
    NAMESPACE,
    NOBODYS,
    OPERATOR,
    OURS,
    SET,
    WHOLE,
    parts,
)
from tests.unit.conftest import Deploy
from tests.unit.fakes import fake_cluster

UNSET = (
    "cluster https://target: Istio kyma/default no longer has spec.components.egressGateway.enabled: true, which this"
)
FIELDS = [
    f"{UNSET} stack set",
    "cluster https://target: Istio kyma/default no longer has spec.ports: [1, 2], which this stack set",
]
OFF = {"components": {"egressGateway": {"enabled": False}}, "ports": [1, 2]}


def test_objects_that_the_cluster_lacks_are_reported(deploy: Deploy) -> None:
    assert parts(deploy, fake_cluster(WHOLE)).result == []
    assert parts(deploy, fake_cluster({NAMESPACE: OURS, ISTIO: WHOLE[ISTIO]})).result == [
        "cluster https://target has no Secret istio-system/certs, which this stack made",
        "cluster https://target has no Gateway mtls/gateway, which this stack made",
    ]


def test_objects_without_the_stacks_mark_are_reported(deploy: Deploy) -> None:
    found = WHOLE | {CERTS: ANOTHERS, GATEWAY: NOBODYS}
    assert parts(deploy, fake_cluster(found), owner=pulumi.Output.from_input("0a1b")).result == [
        "cluster https://target: Secret istio-system/certs is no longer this stack's: another stack made it; remove it",
        "cluster https://target: Gateway mtls/gateway is no longer this stack's: it has no label kyma-mtls/owner=0a1b; "
        "set that, or remove it",
    ]


@pytest.mark.parametrize(
    ("spec", "lines"),
    [
        ({**SET, "components": {"egressGateway": {"enabled": True, "k8s": {}}, "cni": {}}, "other": 1}, []),
        (OFF, FIELDS[:1]),
        ({"components": {"egressGateway": {}}}, FIELDS),
        ({"components": None, "ports": [1]}, FIELDS),
        ({}, FIELDS),
    ],
    ids=["more", "changed", "removed", "null", "empty"],
)
def test_fields_that_the_cluster_lacks_are_reported(deploy: Deploy, spec: dict[str, Any], lines: list[str]) -> None:
    found = WHOLE | {ISTIO: {"metadata": {}, "spec": spec}}
    assert parts(deploy, fake_cluster(found)).result == lines


def test_fields_of_a_missing_object_are_reported(deploy: Deploy) -> None:
    assert parts(deploy, fake_cluster({**WHOLE, ISTIO: None})).result == FIELDS


def test_preview_leaves_fields_to_the_update(deploy: Deploy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulumi.runtime, "is_dry_run", lambda: True)
    assert parts(deploy, fake_cluster({**WHOLE, ISTIO: None, CERTS: None})).result == [
        "cluster https://target has no Secret istio-system/certs, which this stack made"
    ]


def test_fields_that_a_refresh_saw_change_are_not_reported(deploy: Deploy) -> None:
    found = WHOLE | {ISTIO: {"metadata": {}, "spec": OFF}}
    assert parts(deploy, fake_cluster(found), state={"IstioPatch": {"spec": OFF}}).result == []


def test_cluster_is_asked_for_the_objects_of_the_program_only(deploy: Deploy) -> None:
    cluster = fake_cluster(WHOLE)
    parts(deploy, cluster)
    kinds = {"/api/v1", "/apis/networking.istio.io/v1", f"/apis/{OPERATOR}"}
    assert set(cluster.asked) - kinds == set(WHOLE), "only the verification lists further objects"
