"""Removal of temporary objects, and the commands that delete the rest."""

from typing import Any

import pytest
from kubernetes.client import ApiException
from urllib3.exceptions import ProtocolError

from settings import ConfigError
from tests.unit.verification.fake_api import FakeApi, attacker_of
from verification import temporary
from verification.checks import Skipped


def test_remove_deletes_namespace_and_pod(api: FakeApi) -> None:
    attacker = attacker_of()
    attacker.curl_in_stack_namespace()
    assert attacker.left == [
        "target cluster: kubectl delete namespace temporary",
        "target cluster: kubectl -n mtls delete pod temporary",
    ]
    assert attacker.remove() == []
    assert not api.objects


def test_object_that_cannot_be_deleted_is_reported(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(temporary, "_GONE_SECONDS", 0)
    monkeypatch.setattr(api, "delete", lambda *_: None)
    attacker = attacker_of()
    attacker.curl_without_sidecar()
    assert attacker.remove() == ["target cluster: kubectl delete namespace temporary"]


def test_object_created_by_an_unanswered_request_is_used_and_deleted(
    api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    attacker, create = attacker_of(), api.create

    def time_out(kind: str, namespace: str, body: Any) -> Any:
        if f"{kind} {namespace}/{body['metadata']['name']}" in api.objects:
            raise ApiException(409, "Conflict")
        created = create(kind, namespace, body)
        if kind != "ServiceAccount":
            raise TimeoutError
        return created

    monkeypatch.setattr(api, "create", time_out)
    for _ in ("Namespace", "with-sidecar", "without-sidecar"):
        with pytest.raises(TimeoutError):
            attacker.curl_with_sidecar()
    assert attacker.curl_with_sidecar().stdout == "temporary/with-sidecar"
    assert attacker.remove() == []
    assert not api.objects


def test_cluster_that_stops_answering_may_have_objects_left(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    def time_out(*_: object) -> None:
        raise TimeoutError

    attacker = attacker_of()
    attacker.curl_with_sidecar()
    monkeypatch.setattr(api, "delete", time_out)
    assert attacker.remove() == ["target cluster: kubectl delete namespace temporary"]


@pytest.mark.parametrize(
    "error", [ApiException(403, "Forbidden"), ProtocolError("broken"), OSError("reset"), ConfigError("no token")]
)
@pytest.mark.parametrize(
    ("kept", "command"), [("Pod", "kubectl -n mtls delete pod temporary"), ("Namespace", "kubectl delete namespace")]
)
def test_failed_deletion_does_not_stop_the_next(
    api: FakeApi, monkeypatch: pytest.MonkeyPatch, error: Exception, kept: str, command: str
) -> None:
    delete = api.delete

    def refuse(kind: str, *place: Any) -> None:
        if kind == kept:
            raise error
        delete(kind, *place)

    attacker = attacker_of()
    attacker.curl_in_stack_namespace()
    monkeypatch.setattr(api, "delete", refuse)
    left = attacker.remove()
    assert [each.startswith(f"target cluster: {command}") for each in left] == [True]
    assert ("Pod mtls/temporary" in api.objects, "Namespace /temporary" in api.objects) == (
        kept == "Pod",
        kept == "Namespace",
    )


def test_refused_pod_is_not_reported_as_left(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    create = api.create

    def refuse(kind: str, namespace: str, body: Any) -> Any:
        if (kind, namespace) == ("Pod", "mtls"):
            raise ApiException(403, "Forbidden")
        return create(kind, namespace, body)

    monkeypatch.setattr(api, "create", refuse)
    attacker = attacker_of()
    with pytest.raises(Skipped, match="refuses an object that the attack needs"):
        attacker.curl_in_stack_namespace()
    assert attacker.left == ["target cluster: kubectl delete namespace temporary"]
