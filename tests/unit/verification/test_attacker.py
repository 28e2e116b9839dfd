"""An attacker in a cluster: Pods, objects, and refusals."""

from typing import Any

import pytest
from kubernetes.client import ApiException
from urllib3.exceptions import ProtocolError

from tests.unit.verification.fake_api import ROUTE, FakeApi, attacker_of
from verification import attacker as module
from verification.checks import Skipped, Unjudged
from verification.manifests import LABEL


def test_attacker_creates_nothing_before_it_is_used(api: FakeApi) -> None:
    assert attacker_of().remove() == []
    assert api.done == []


def test_pods_with_and_without_a_sidecar_are_made_once(api: FakeApi) -> None:
    attacker = attacker_of()
    runs = (
        attacker.curl_with_sidecar,
        attacker.curl_without_sidecar,
        attacker.curl_in_stack_namespace,
        attacker.curl_with_sidecar,
    )
    assert [run("http://a").stdout for run in runs] == [
        "temporary/with-sidecar",
        "temporary/without-sidecar",
        "mtls/temporary",
        "temporary/with-sidecar",
    ]
    assert api.done == [
        *("create Namespace /temporary", "create ServiceAccount temporary/attacker"),
        *("create Pod temporary/with-sidecar", "create Pod temporary/without-sidecar", "create Pod mtls/temporary"),
    ]
    injected = {name: body["metadata"]["labels"].get("sidecar.istio.io/inject") for name, body in api.objects.items()}
    assert injected["Pod temporary/with-sidecar"] == "true"
    assert injected["Pod temporary/without-sidecar"] == injected["Pod mtls/temporary"] == "false"
    assert api.objects["Namespace /temporary"]["metadata"]["labels"] == {"istio-injection": "enabled", LABEL: "0a1b"}


def test_pods_of_attackers_are_unprivileged_and_bounded(api: FakeApi) -> None:
    attacker_of().curl_with_sidecar()
    spec = api.objects["Pod temporary/with-sidecar"]["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["containers"][0]["securityContext"]["allowPrivilegeEscalation"] is False
    assert spec["containers"][0]["resources"]["limits"]


def test_attacker_creates_nothing_after_its_removal(api: FakeApi) -> None:
    attacker = attacker_of()
    attacker.remove()
    for attempt in (
        attacker.curl_with_sidecar,
        attacker.curl_in_stack_namespace,
        lambda: attacker.deployed(ROUTE).__enter__(),
    ):
        with pytest.raises(Unjudged, match="the verification has ended"):
            attempt()
    assert api.done == []


def test_objects_are_deleted_at_the_end_of_their_context(api: FakeApi) -> None:
    attacker = attacker_of()
    with attacker.deployed(ROUTE):
        assert api.objects["virtualservices temporary/route"]["spec"] == ROUTE["spec"]
        assert api.objects["virtualservices temporary/route"]["metadata"]["labels"] == {LABEL: "0a1b"}
    assert "virtualservices temporary/route" not in api.objects
    with pytest.raises(ZeroDivisionError), attacker.deployed(ROUTE):
        raise ZeroDivisionError
    assert "virtualservices temporary/route" not in api.objects


@pytest.mark.parametrize("status", [400, 403, 422])
@pytest.mark.parametrize("kind", ["Namespace", "Pod", "virtualservices"])
def test_refusal_by_rights_or_webhook_skips_the_check(api: FakeApi, kind: str, status: int) -> None:
    error = ApiException(status, "Refused")
    error.body = '{"kind":"Status","message":"user \\"a\\" cannot create it","reason":"Forbidden"}'
    api.refused[kind] = error
    with pytest.raises(
        Skipped, match='the target cluster refuses an object that the attack needs: user "a" cannot create it'
    ):
        attacker_of().deployed(ROUTE).__enter__()


def test_objects_are_deleted_although_one_deletion_fails(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    create, delete = api.create, api.delete

    def lose(kind: str, namespace: str, body: Any) -> None:
        create(kind, namespace, body)
        if body["metadata"]["name"] == "second":
            raise TimeoutError

    def refuse(kind: str, namespace: str, name: str) -> None:
        delete(kind, namespace, name)
        if name == "second":
            raise ProtocolError("broken")

    attacker = attacker_of()
    attacker.curl_with_sidecar()
    monkeypatch.setattr(api, "create", lose)
    monkeypatch.setattr(api, "delete", refuse)
    with pytest.raises(TimeoutError), attacker.deployed(ROUTE, {**ROUTE, "name": "second"}):
        pass
    assert not [name for name in api.objects if name.startswith("virtualservices")]


def test_server_error_is_the_api_servers(api: FakeApi) -> None:
    api.refused["Namespace"] = ApiException(500, "broken")
    with pytest.raises(ApiException):
        attacker_of().curl_with_sidecar()


def test_attackers_pod_that_does_not_start_leaves_the_check_unjudged(
    api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_READY_SECONDS", 0)
    api.is_ready = False
    with pytest.raises(Unjudged, match="the attacker's Pod temporary/with-sidecar does not start: ImagePullBackOff"):
        attacker_of().curl_with_sidecar()


def test_attackers_pod_without_its_requested_sidecar_leaves_the_check_unjudged(api: FakeApi) -> None:
    api.containers = ("curl",)
    attacker = attacker_of()
    with pytest.raises(Unjudged, match="has no sidecar, though its label requests one"):
        attacker.curl_with_sidecar()
    assert attacker.curl_without_sidecar().code == 0


def test_pod_with_an_undeclared_account_is_in_the_stacks_namespace_with_a_sidecar(api: FakeApi) -> None:
    attacker = attacker_of()
    assert attacker.curl_of_undeclared_account("http://a").stdout == "mtls/temporary-undeclared"
    pod = api.objects["Pod mtls/temporary-undeclared"]
    assert pod["metadata"]["labels"]["sidecar.istio.io/inject"] == "true"
    assert pod["metadata"]["labels"]["networking.kyma-project.io/to-egressgateway"] == "allowed"
    assert "serviceAccountName" not in pod["spec"], "the namespace's default account"
    attacker.curl_in_stack_namespace()
    assert [line for line in attacker.left if " pod " in line] == [
        "target cluster: kubectl -n mtls delete pod temporary",
        "target cluster: kubectl -n mtls delete pod temporary-undeclared",
    ]
    assert attacker.remove() == []
    assert not api.objects


def test_pod_that_starts_late_is_used_by_a_later_attempt(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_READY_SECONDS", 0)
    api.is_ready = False
    attacker = attacker_of()
    with pytest.raises(Unjudged):
        attacker.curl_with_sidecar()
    api.is_ready = True
    assert attacker.curl_with_sidecar().code == 0
