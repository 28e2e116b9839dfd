"""An attacker's place in a cluster: what is created, by whom it is seen, and that nothing stays."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from kubernetes.client import ApiClient, ApiException, CoreV1Api, CustomObjectsApi
from urllib3.exceptions import ProtocolError

from settings import ConfigError
from verification import attacker as module
from verification.attacker import LABEL, RUN, Attacker
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
        return SimpleNamespace(items=[self._item(f"{kind} ", name) for name in names])

    def _item(self, kind: str, name: str) -> Any:
        body = next(
            body for called, body in self.objects.items() if called.startswith(kind) and called.endswith(f"/{name}")
        )
        metadata = {"creation_timestamp": datetime.now(UTC), "annotations": None, **body["metadata"], "name": name}
        return SimpleNamespace(metadata=SimpleNamespace(**metadata))


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
        "target cluster: kubectl -n mtls delete pod temporary",
        "target cluster: kubectl delete namespace temporary",
    ]
    assert attacker.remove() == []
    assert not api.objects


def test_what_cannot_be_deleted_is_told(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_GONE_SECONDS", 0)
    monkeypatch.setattr(api, "delete", lambda *_: None)
    attacker = attacker_of()
    attacker.curl_without_sidecar()
    assert attacker.remove() == ["target cluster: kubectl delete namespace temporary"]


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


def dead_process() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


@pytest.mark.parametrize(
    ("mark", "run", "minutes", "is_swept"),
    [
        ("0a1b", lambda: f"{socket.gethostname()}/{dead_process()}", 1, True),
        ("0a1b", lambda: f"{socket.gethostname()}/{os.getpid()}", 1, False),
        ("0a1b", lambda: f"elsewhere/{dead_process()}", 1, False),
        ("0a1b", lambda: "elsewhere/1", 61, True),
        ("0a1b", lambda: "", 1, False),
        ("0a1b", lambda: "", 61, True),
        ("ffff", lambda: f"{socket.gethostname()}/{dead_process()}", 61, False),
    ],
)
def test_what_a_killed_run_left_is_removed_by_the_next_of_the_same_stack(
    api: FakeApi, mark: str, run: Callable[[], str], minutes: int, is_swept: bool
) -> None:
    metadata = {
        "labels": {LABEL: mark},
        "annotations": {RUN: run()},
        "creation_timestamp": datetime.now(UTC) - timedelta(minutes=minutes),
    }
    api.objects = {"Namespace /old": {"metadata": metadata}, "Pod mtls/old": {"metadata": metadata}}
    attacker_of().curl_with_sidecar()
    assert {"Namespace /old", "Pod mtls/old"} & set(api.objects) == (
        set() if is_swept else {"Namespace /old", "Pod mtls/old"}
    )


def test_two_runs_of_a_stack_leave_each_other_alone(api: FakeApi) -> None:
    first = attacker_of()
    first.curl_in_stack_namespace()
    second = attacker_of()
    second.name = "second"
    second.curl_in_stack_namespace()
    assert {"Namespace /temporary", "Pod mtls/temporary", "Namespace /second"} < set(api.objects)
    assert second.remove() == []
    assert {"Namespace /temporary", "Pod mtls/temporary"} < set(api.objects)


@pytest.mark.parametrize("status", [400, 403, 422])
@pytest.mark.parametrize("kind", ["Namespace", "Pod", "virtualservices"])
def test_a_refusal_by_rights_or_a_webhook_is_a_reason_and_no_failure(api: FakeApi, kind: str, status: int) -> None:
    error = ApiException(status, "Refused")
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
    assert attacker.remove() == ["target cluster: kubectl delete namespace temporary"]


@pytest.mark.parametrize(
    "error", [ApiException(403, "Forbidden"), ProtocolError("broken"), OSError("reset"), ConfigError("no token")]
)
@pytest.mark.parametrize(
    ("kept", "command"), [("Pod", "kubectl -n mtls delete pod temporary"), ("Namespace", "kubectl delete namespace")]
)
def test_what_cannot_be_deleted_keeps_nothing_else(
    api: FakeApi, monkeypatch: pytest.MonkeyPatch, error: Exception, kept: str, command: str
) -> None:
    delete = api.delete

    def refuse(kind: str, *place: str) -> None:
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


def test_a_pod_that_was_refused_is_not_left(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    create = api.create

    def refuse(kind: str, namespace: str, body: Any) -> None:
        if (kind, namespace) == ("Pod", "mtls"):
            raise ApiException(403, "Forbidden")
        create(kind, namespace, body)

    monkeypatch.setattr(api, "create", refuse)
    attacker = attacker_of()
    with pytest.raises(Skipped, match="refuses what the attack needs"):
        attacker.curl_in_stack_namespace()
    assert attacker.left == ["target cluster: kubectl delete namespace temporary"]


def test_every_object_is_deleted_though_one_cannot_be(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_another_refusal_is_a_failure(api: FakeApi) -> None:
    api.refused["Namespace"] = ApiException(500, "broken")
    with pytest.raises(ApiException):
        attacker_of().curl_with_sidecar()


def test_a_pod_that_does_not_start_is_a_reason_and_no_failure(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_READY_SECONDS", 0)
    api.is_ready = False
    with pytest.raises(Skipped, match="the attacker's Pod temporary/with-sidecar does not start: ImagePullBackOff"):
        attacker_of().curl_with_sidecar()


def test_pod_that_asked_for_a_sidecar_and_got_none_fails_the_check(api: FakeApi) -> None:
    api.containers = ("curl",)
    attacker = attacker_of()
    with pytest.raises(Failed, match="got no sidecar, though it asked for one"):
        attacker.curl_with_sidecar()
    assert attacker.curl_without_sidecar().code == 0
