"""An attacker's place in a cluster: what is created, by whom it is seen, and that nothing stays."""

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from kubernetes.client import ApiClient, ApiException, CoreV1Api, CustomObjectsApi

from verification import attacker as module
from verification.attacker import LABEL, Attacker
from verification.checks import Failed, Skipped
from verification.pods import Executed

ROUTE = {"kind": "VirtualService", "name": "route", "spec": {"hosts": ["a.test"]}}


def condition(ready: bool) -> SimpleNamespace:
    return SimpleNamespace(type="Ready", status=str(ready))


@dataclass
class FakeApi:
    """A cluster's objects, as KIND NAMESPACE/NAME, and a log of what is done to them."""

    objects: dict[str, Any] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)
    refused: dict[str, ApiException] = field(default_factory=dict)
    is_ready: bool = True
    containers: tuple[str, ...] = ("curl", "istio-proxy")

    def create(self, kind: str, namespace: str, body: Any) -> None:
        called = f"{kind} {namespace}/{body['metadata']['name']}"
        self.done.append(f"create {called}")
        if kind in self.refused:
            raise self.refused[kind]
        self.objects[called] = body

    def delete(self, kind: str, namespace: str, name: str) -> None:
        self.done.append(f"delete {kind} {namespace}/{name}")
        if self.objects.pop(f"{kind} {namespace}/{name}", None) is None:
            raise ApiException(404, "Not Found")
        if kind == "Namespace":
            for inside in [called for called in self.objects if f" {name}/" in called]:
                del self.objects[inside]

    def read(self, kind: str, namespace: str, name: str) -> Any:
        if f"{kind} {namespace}/{name}" not in self.objects and name != "mtls":
            raise ApiException(404, "Not Found")
        labels = {"istio-injection": "enabled", "team": "a"}
        containers = [SimpleNamespace(name=each) for each in self.containers]
        return SimpleNamespace(
            metadata=SimpleNamespace(name=name, labels=labels, deletion_timestamp=None),
            spec=SimpleNamespace(containers=containers, init_containers=None),
            status=SimpleNamespace(
                conditions=[condition(self.is_ready)],
                phase="Pending",
                init_container_statuses=None,
                container_statuses=[
                    SimpleNamespace(state=SimpleNamespace(waiting=SimpleNamespace(reason="ImagePullBackOff")))
                ],
            ),
        )

    def listed(self, kind: str, selector: str) -> Any:
        label, _, value = selector.partition("=")
        found = [name for name, body in self.objects.items() if body["metadata"]["labels"].get(label) == value]
        names = [name.rpartition("/")[2] for name in found if name.startswith(f"{kind} ")]
        return SimpleNamespace(items=[SimpleNamespace(metadata=SimpleNamespace(name=name)) for name in names])


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> FakeApi:
    fake = FakeApi()
    core: dict[str, Callable[..., Any]] = {
        "read_namespace": lambda name: fake.read("Namespace", "", name),
        "create_namespace": lambda body: fake.create("Namespace", "", body),
        "delete_namespace": lambda name: fake.delete("Namespace", "", name),
        "list_namespace": lambda label_selector: fake.listed("Namespace", label_selector),
        "create_namespaced_service_account": lambda namespace, body: fake.create("ServiceAccount", namespace, body),
        "create_namespaced_pod": lambda namespace, body: fake.create("Pod", namespace, body),
        "read_namespaced_pod": lambda name, namespace: fake.read("Pod", namespace, name),
        "delete_namespaced_pod": lambda name, namespace: fake.delete("Pod", namespace, name),
        "list_namespaced_pod": lambda _, label_selector: fake.listed("Pod", label_selector),
    }
    custom: dict[str, Callable[..., Any]] = {
        "create_namespaced_custom_object": lambda _, __, namespace, kind, body: fake.create(kind, namespace, body),
        "delete_namespaced_custom_object": lambda _, __, namespace, kind, name: fake.delete(kind, namespace, name),
    }
    for owner, methods in ((CoreV1Api, core), (CustomObjectsApi, custom)):
        for name, method in methods.items():

            def call(_: object, *given: Any, method: Any = method, _request_timeout: int = 0, **more: Any) -> Any:
                return method(*given, **more)

            monkeypatch.setattr(owner, name, call)
    monkeypatch.setattr(
        "verification.pods.execute", lambda _, namespace, pod, *__: Executed(0, f"{namespace}/{pod}", "")
    )
    return fake


def attacker_of(mark: str = "0a1b") -> Attacker:
    return Attacker("target cluster", ApiClient(), "mtls", mark, "curl:1", "temporary")


def test_nothing_is_created_before_it_is_needed(api: FakeApi) -> None:
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


def test_everything_is_deleted(api: FakeApi) -> None:
    attacker = attacker_of()
    attacker.curl_in_stack_namespace()
    assert attacker.left == [
        "target cluster: kubectl -n mtls delete pods -l kyma-mtls/verification=0a1b",
        "target cluster: kubectl delete namespaces -l kyma-mtls/verification=0a1b",
    ]
    assert attacker.remove() == []
    assert not api.objects


def test_what_cannot_be_deleted_is_told(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_GONE_SECONDS", 0)
    monkeypatch.setattr(api, "delete", lambda *_: None)
    attacker = attacker_of()
    attacker.curl_without_sidecar()
    assert attacker.remove() == ["target cluster: kubectl delete namespaces -l kyma-mtls/verification=0a1b"]


def test_nothing_is_created_after_the_end(api: FakeApi) -> None:
    attacker = attacker_of()
    attacker.remove()
    for attempt in (
        attacker.curl_with_sidecar,
        attacker.curl_in_stack_namespace,
        lambda: attacker.deployed(ROUTE).__enter__(),
    ):
        with pytest.raises(Failed, match="the verification has ended"):
            attempt()
    assert api.done == []


def test_objects_are_there_for_a_while_only(api: FakeApi) -> None:
    attacker = attacker_of()
    with attacker.deployed(ROUTE):
        assert api.objects["virtualservices temporary/route"]["spec"] == ROUTE["spec"]
        assert api.objects["virtualservices temporary/route"]["metadata"]["labels"] == {LABEL: "0a1b"}
    assert "virtualservices temporary/route" not in api.objects
    with pytest.raises(ZeroDivisionError), attacker.deployed(ROUTE):
        raise ZeroDivisionError
    assert "virtualservices temporary/route" not in api.objects


def test_what_a_killed_run_left_is_removed_by_the_next_of_the_same_stack(api: FakeApi) -> None:
    def left(mark: str) -> dict[str, Any]:
        return {"metadata": {"labels": {LABEL: mark}}}

    api.objects = {
        "Namespace /old": left("0a1b"),
        "Namespace /anothers": left("ffff"),
        "Pod mtls/old": left("0a1b"),
        "Pod mtls/anothers": left("ffff"),
    }
    attacker_of().curl_with_sidecar()
    assert {"Namespace /anothers", "Pod mtls/anothers"} < set(api.objects)
    assert not {"Namespace /old", "Pod mtls/old"} & set(api.objects)


@pytest.mark.parametrize("kind", ["Namespace", "Pod", "virtualservices"])
def test_lack_of_rights_is_a_reason_and_no_failure(api: FakeApi, kind: str) -> None:
    error = ApiException(403, "Forbidden")
    error.body = '{"kind":"Status","message":"user \\"a\\" cannot create it","reason":"Forbidden"}'
    api.refused[kind] = error
    with pytest.raises(Skipped, match='the target cluster refuses what the attack needs: user "a" cannot create it'):
        attacker_of().deployed(ROUTE).__enter__()


def test_what_was_created_unseen_is_used_and_deleted(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    attacker, create = attacker_of(), api.create

    def time_out(kind: str, namespace: str, body: Any) -> None:
        if f"{kind} {namespace}/{body['metadata']['name']}" in api.objects:
            raise ApiException(409, "Conflict")
        create(kind, namespace, body)
        if kind != "ServiceAccount":
            raise TimeoutError

    monkeypatch.setattr(api, "create", time_out)
    for _ in ("Namespace", "with-sidecar", "without-sidecar"):
        with pytest.raises(TimeoutError):
            attacker.curl_with_sidecar()
    assert attacker.curl_with_sidecar().stdout == "temporary/with-sidecar"
    assert attacker.remove() == []
    assert not api.objects


def test_a_cluster_that_no_longer_answers_may_have_something_left(
    api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    def time_out(*_: object) -> None:
        raise TimeoutError

    attacker = attacker_of()
    attacker.curl_with_sidecar()
    monkeypatch.setattr(api, "delete", time_out)
    assert attacker.remove() == ["target cluster: kubectl delete namespaces -l kyma-mtls/verification=0a1b"]


def test_another_refusal_is_a_failure(api: FakeApi) -> None:
    api.refused["Namespace"] = ApiException(500, "broken")
    with pytest.raises(ApiException):
        attacker_of().curl_with_sidecar()


def test_a_pod_that_is_not_ready_tells_why(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_READY_SECONDS", 0)
    api.is_ready = False
    with pytest.raises(Failed, match="the attacker's Pod temporary/with-sidecar is not ready: ImagePullBackOff"):
        attacker_of().curl_with_sidecar()


def test_pod_that_asked_for_a_sidecar_and_got_none_fails_the_check(api: FakeApi) -> None:
    api.containers = ("curl",)
    with pytest.raises(Failed, match="got no sidecar, though it asked for one"):
        attacker_of().curl_with_sidecar()
    assert attacker_of().curl_without_sidecar().code == 0
