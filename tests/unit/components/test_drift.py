"""Drift: objects that a cluster lacks, or that changed hands, and changed fields of patches."""

import asyncio
from contextlib import closing
from types import SimpleNamespace
from typing import Any

import pulumi
import pytest

from components.drift import APPLIED, Inventory
from components.ownership import Owner
from components.threads import Threads
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
from tests.unit.fakes import FakeCluster, fake_cluster

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


def test_preview_reports_fields_that_no_update_is_about_to_set(deploy: Deploy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulumi.runtime, "is_dry_run", lambda: True)
    found = WHOLE | {ISTIO: {"metadata": {}, "spec": OFF}}
    assert parts(deploy, fake_cluster(WHOLE)).result == []
    assert parts(deploy, fake_cluster(found)).result == FIELDS[:1]
    refreshed = {"patch": ({"spec": OFF}, {"spec": SET})}
    assert parts(deploy, fake_cluster(found), changes=refreshed).result == []


def test_fields_that_a_refresh_saw_change_are_not_reported(deploy: Deploy) -> None:
    found = WHOLE | {ISTIO: {"metadata": {}, "spec": OFF}}
    assert parts(deploy, fake_cluster(found), state={"IstioPatch": {"spec": OFF}}).result == []


def test_cluster_is_asked_for_the_objects_of_the_program_only(deploy: Deploy) -> None:
    cluster = fake_cluster(WHOLE)
    parts(deploy, cluster)
    kinds = {"/api/v1", "/apis/networking.istio.io/v1", f"/apis/{OPERATOR}"}
    assert set(cluster.asked) - kinds == set(WHOLE), "only the verification lists further objects"


class Value:
    """An output with this value."""

    def __init__(self, value: Any) -> None:
        self.value = value

    async def future(self) -> Any:
        return self.value


def known(identifier: str) -> Any:
    """Return a resource that the state has, of which nothing is known that was applied."""
    return SimpleNamespace(**{"id": Value(identifier), APPLIED: Value(None)})


GATEWAYS = "/apis/networking.istio.io/v1/namespaces/mtls/gateways"
LISTED = f"{GATEWAYS}?labelSelector=kyma-mtls%2Fowner%3D0a1b"


def drift_of(cluster: FakeCluster, *names: str, mark: str | None = "0a1b") -> list[str]:
    """Return the drift of Gateways with these names."""
    inventory = Inventory(cluster, Threads().run)
    for name in names:
        inventory.add(known(f"mtls/{name}"), {"api_version": "networking.istio.io/v1", "kind": "Gateway"})
    with closing(asyncio.new_event_loop()) as loop:
        return loop.run_until_complete(inventory.drift(Owner(mark)))


def own(name: str) -> dict[str, Any]:
    return {"metadata": {**OURS["metadata"], "namespace": "mtls", "name": name}}


def test_objects_of_a_kind_in_a_namespace_are_read_by_one_request() -> None:
    cluster = fake_cluster({LISTED: {"items": [own("a"), own("b"), own("c")]}})
    assert drift_of(cluster, "a", "b", "c") == []
    assert cluster.asked == ["/apis/networking.istio.io/v1", LISTED]


def test_objects_that_are_not_listed_are_read_by_name() -> None:
    cluster = fake_cluster({LISTED: {"items": [own("a")]}, f"{GATEWAYS}/b": ANOTHERS})
    assert drift_of(cluster, "a", "b", "c") == [
        "cluster https://target: Gateway mtls/b is no longer this stack's: another stack made it; remove it",
        "cluster https://target has no Gateway mtls/c, which this stack made",
    ]
    cluster = fake_cluster({f"{GATEWAYS}/{name}": own(name) for name in "ab"})
    assert drift_of(cluster, "a", "b", mark=None) == []
    assert LISTED not in cluster.asked, "nothing tells the stack's objects"


def test_objects_that_may_not_be_listed_are_read_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeCluster, "listed", lambda *_: None)
    assert drift_of(fake_cluster({f"{GATEWAYS}/{name}": own(name) for name in "ab"}), "a", "b") == []


NAMED = {"name": "gateway", "namespace": "mtls"}
STACKS = [{"manager": "kyma-mtls", "operation": "Apply", "fieldsV1": {"f:spec": {"f:port": {}}}}]
EDITED = [{"manager": "edit", "operation": "Update", "fieldsV1": {"f:spec": {"f:port": {}}}}]


def gateway(port: int, managed: list[dict[str, Any]] = STACKS) -> dict[str, Any]:
    """Return the clusters' objects, with this port of the Gateway."""
    metadata = {**OURS["metadata"], "managedFields": managed}
    return WHOLE | {GATEWAY: {"metadata": metadata, "spec": {"port": port}}}


def applied(port: int) -> dict[str, Any]:
    """Return what the stack applied, as the provider has it among the outputs."""
    return {"apiVersion": "networking.istio.io/v1", "kind": "Gateway", "metadata": NAMED, "spec": {"port": port}}


@pytest.mark.parametrize("preview", [False, True])
def test_changed_fields_are_reported(deploy: Deploy, monkeypatch: pytest.MonkeyPatch, preview: bool) -> None:
    monkeypatch.setattr(pulumi.runtime, "is_dry_run", lambda: preview)
    state = {"Gateway": {APPLIED: applied(443)}}
    owner = pulumi.Output.from_input("0a1b")
    assert parts(deploy, fake_cluster(gateway(443)), state=state).result == []
    assert parts(deploy, fake_cluster(gateway(8443, EDITED)), state=state, owner=owner).result == [
        "cluster https://target: Gateway mtls/gateway: spec.port: 8443 instead of 443, set by edit"
    ]


def test_fields_of_anothers_object_are_not_reported(deploy: Deploy) -> None:
    found = gateway(8443) | {GATEWAY: {**ANOTHERS, "spec": {"port": 8443}}}
    (line,) = parts(deploy, fake_cluster(found), state={"Gateway": {APPLIED: applied(443)}}).result
    assert "is no longer this stack's" in line


@pytest.mark.parametrize(
    ("found", "old", "new", "lines"),
    [
        (gateway(443), 443, 444, []),
        (gateway(444), 443, 444, []),
        (gateway(444, EDITED), 443, 444, []),
        (gateway(445), 443, 444, []),
        (gateway(445, EDITED), 443, 444, ["spec.port: 445 instead of 443, set by edit"]),
        (gateway(445, EDITED), 445, 443, []),
    ],
    ids=["as-it-was", "interrupted", "as-it-will-be", "another-interrupted", "changed", "refreshed"],
)
def test_object_that_a_preview_is_about_to_change_is_compared_as_it_was(
    deploy: Deploy,
    monkeypatch: pytest.MonkeyPatch,
    found: dict[str, Any],
    old: int,
    new: int,
    lines: list[str],
) -> None:
    monkeypatch.setattr(pulumi.runtime, "is_dry_run", lambda: True)
    change = {"gateway": (applied(old), applied(new))}
    state = {"Gateway": {APPLIED: applied(new)}}
    result = parts(deploy, fake_cluster(found), state=state, changes=change).result
    assert result == [f"cluster https://target: Gateway mtls/gateway: {each}" for each in lines]


def test_changed_item_of_a_list_that_a_preview_is_about_to_lengthen_is_reported(
    deploy: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulumi.runtime, "is_dry_run", lambda: True)

    def served(*ports: int) -> dict[str, Any]:
        return {**applied(443), "spec": {"servers": [{"port": port} for port in ports]}}

    found = gateway(0, [{**EDITED[0], "fieldsV1": {"f:spec": {"f:servers": {}}}}])
    found[GATEWAY]["spec"] = served(8443)["spec"]
    state, changes = {"Gateway": {APPLIED: served(443, 444)}}, {"gateway": (served(443), served(443, 444))}
    (line,) = parts(deploy, fake_cluster(found), state=state, changes=changes).result
    assert line.endswith("spec.servers[0].port: 8443 instead of 443, set by edit")


def test_secret_values_that_a_preview_is_about_to_change_are_not_compared(
    deploy: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulumi.runtime, "is_dry_run", lambda: True)
    secret = pulumi.Output.__new__(pulumi.Output)  # as a hook has it: its value is not asked for
    old = new = {**applied(443), "spec": secret}
    state = {"Gateway": {APPLIED: applied(444)}}
    found = gateway(443, [*STACKS, *EDITED])
    assert parts(deploy, fake_cluster(found), state=state, changes={"gateway": (old, new)}).result == []


def test_update_compares_an_object_with_what_it_applied(deploy: Deploy) -> None:
    change = {"gateway": (applied(443), applied(444))}
    (line,) = parts(
        deploy, fake_cluster(gateway(443)), state={"Gateway": {APPLIED: applied(444)}}, changes=change
    ).result
    assert "spec.port: 443 instead of 444" in line
