"""What killed runs left: found and removed, without anything of a run that may live, or of another stack."""

from datetime import timedelta
from typing import Any

import pytest
from kubernetes.client import ApiException

from tests.unit.verification.fake_api import RUN_ID, FakeApi, attacker_of
from verification import runs
from verification.manifests import LABEL, RUN

OVER, LIVING = "aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb"
LEFT = ("Namespace /old", "Pod mtls/old", "Pod mtls/old-undeclared", "Pod earlier/old")


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """One run is known to be over."""
    monkeypatch.setattr(runs, "is_over", lambda run: run == OVER)


def leave(api: FakeApi, run: str, minutes: float = 1, mark: str = "0a1b") -> None:
    """Put what a run made into the cluster, with the Pods of its namespace."""
    assert api.now
    labels = {LABEL: mark} | ({RUN: run} if run else {})
    metadata = {"labels": labels, "creation_timestamp": api.now - timedelta(minutes=minutes)}
    for name in (*LEFT, "Pod old/with-sidecar"):
        api.objects[name] = {"metadata": metadata}


@pytest.mark.parametrize(
    ("run", "minutes", "mark", "is_swept"),
    [
        (OVER, 1, "0a1b", True),
        (LIVING, 1, "0a1b", False),
        (LIVING, 59, "0a1b", False),
        (LIVING, 61, "0a1b", True),  # it has stopped using its objects
        ("", 59, "0a1b", False),  # of an earlier version
        ("", 61, "0a1b", True),
        (OVER, 61, "ffff", False),  # of another stack
    ],
)
def test_only_objects_of_runs_of_the_stack_that_are_over_are_swept(
    api: FakeApi, run: str, minutes: float, mark: str, is_swept: bool
) -> None:
    leave(api, run, minutes, mark)
    attacker = attacker_of()
    attacker.sweep()
    assert set(LEFT) & set(api.objects) == (set() if is_swept else set(LEFT))
    assert len(attacker.left) == (len(LEFT) if is_swept else 0), "until it is known to be gone"
    assert attacker.remove() == []


def test_age_counts_by_the_clock_of_the_api_server(api: FakeApi) -> None:
    leave(api, LIVING, minutes=61)
    api.now = None
    attacker_of().sweep()
    assert set(LEFT) < set(api.objects), "without its time, nothing is old"


def test_leftovers_are_named_without_being_deleted(api: FakeApi) -> None:
    leave(api, OVER)
    before = dict(api.objects)
    attacker = attacker_of(run="")
    attacker.seek()
    assert attacker.left == [
        "target cluster: kubectl delete namespace old  # of a killed run",
        "target cluster: kubectl -n earlier delete pod old  # of a killed run",
        "target cluster: kubectl -n mtls delete pod old  # of a killed run",
        "target cluster: kubectl -n mtls delete pod old-undeclared  # of a killed run",
    ]
    assert (api.objects, api.done) == (before, [])


def test_leftover_that_is_being_deleted_is_not_named(api: FakeApi) -> None:
    leave(api, OVER)
    for each in api.objects.values():
        each["metadata"]["deletion_timestamp"] = api.now
    attacker = attacker_of()
    attacker.seek()
    assert attacker.left == []


def test_leftovers_that_the_user_may_not_delete_are_named_at_the_end(
    api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave(api, OVER)
    delete = api.delete

    def refuse(kind: str, namespace: str, name: str, options: Any = None) -> None:
        if namespace == "earlier":
            raise ApiException(403, "Forbidden")
        delete(kind, namespace, name, options)

    monkeypatch.setattr(api, "delete", refuse)
    attacker = attacker_of()
    attacker.sweep()
    assert attacker.remove() == ["target cluster: kubectl -n earlier delete pod old  # of a killed run"]


def test_object_that_another_run_made_meanwhile_is_not_deleted(api: FakeApi) -> None:
    leave(api, OVER)
    attacker = attacker_of()
    attacker.seek()
    for name in LEFT:
        api.objects[name] = {"metadata": {"labels": {LABEL: "0a1b", RUN: LIVING}}}
    assert attacker.remove() == []
    assert set(LEFT) < set(api.objects)


def test_object_that_is_replaced_during_its_deletion_stays(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    attacker = attacker_of()
    attacker.curl_without_sidecar()
    delete = api.delete

    def replace(kind: str, namespace: str, name: str, options: Any = None) -> None:
        labels = {LABEL: "0a1b", RUN: LIVING}
        api.objects[f"{kind} {namespace}/{name}"] = {"metadata": {"labels": labels, "uid": "another"}}
        delete(kind, namespace, name, options)

    monkeypatch.setattr(api, "delete", replace)
    assert attacker.remove() == []
    assert "Namespace /temporary" in api.objects


def test_concurrent_runs_of_a_stack_keep_their_objects(api: FakeApi) -> None:
    first, second = attacker_of(), attacker_of(name="second", run=LIVING)
    for each in (first, second):
        each.sweep()
        each.curl_in_stack_namespace()
    second.sweep()
    assert {"Namespace /temporary", "Pod mtls/temporary", "Namespace /second"} < set(api.objects)
    assert second.remove() == []
    assert {"Namespace /temporary", "Pod mtls/temporary"} < set(api.objects)


def test_objects_are_marked_with_the_stack_and_the_run(api: FakeApi) -> None:
    attacker = attacker_of()
    attacker.curl_in_stack_namespace()
    attacker.curl_of_undeclared_account()
    with attacker.deployed({"kind": "Gateway", "name": "port", "spec": {}}):
        made = {name: body["metadata"]["labels"] for name, body in api.objects.items()}
    assert {name.partition(" ")[0] for name in made} == {"Namespace", "ServiceAccount", "Pod", "Job", "gateways"}
    for name, labels in made.items():
        assert (name, labels[LABEL], labels[RUN]) == (name, "0a1b", RUN_ID)
