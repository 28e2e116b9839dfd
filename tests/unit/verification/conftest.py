"""Fixtures for tests of attackers."""

from collections.abc import Callable
from typing import Any

import pytest
from kubernetes.client import BatchV1Api, CoreV1Api, CustomObjectsApi

from tests.unit.verification.fake_api import FakeApi
from verification.pods import Executed


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> FakeApi:
    fake = FakeApi()
    core: dict[str, Callable[..., Any]] = {
        "read_namespace": lambda name: fake.read("Namespace", "", name),
        "create_namespace": lambda body: fake.create("Namespace", "", body),
        "delete_namespace": lambda name, body: fake.delete("Namespace", "", name, body),
        "list_namespace_with_http_info": lambda label_selector: fake.listed("Namespace", label_selector),
        "create_namespaced_service_account": lambda namespace, body: fake.create("ServiceAccount", namespace, body),
        "create_namespaced_pod": lambda namespace, body: fake.create("Pod", namespace, body),
        "read_namespaced_pod": lambda name, namespace: fake.read("Pod", namespace, name),
        "delete_namespaced_pod": lambda name, namespace, body: fake.delete("Pod", namespace, name, body),
        "list_pod_for_all_namespaces_with_http_info": lambda label_selector: fake.listed("Pod", label_selector),
    }
    batch: dict[str, Callable[..., Any]] = {
        "create_namespaced_job": lambda namespace, body: fake.create("Job", namespace, body),
        "delete_namespaced_job": lambda name, namespace, **_: fake.delete("Job", namespace, name),
    }
    custom: dict[str, Callable[..., Any]] = {
        "create_namespaced_custom_object": lambda _, __, namespace, kind, body: fake.create(kind, namespace, body),
        "delete_namespaced_custom_object": lambda _, __, namespace, kind, name: fake.delete(kind, namespace, name),
    }
    for owner, methods in ((CoreV1Api, core), (BatchV1Api, batch), (CustomObjectsApi, custom)):
        for name, method in methods.items():

            def call(_: object, *given: Any, method: Any = method, _request_timeout: int = 0, **more: Any) -> Any:
                return method(*given, **more)

            monkeypatch.setattr(owner, name, call)
    monkeypatch.setattr(
        "verification.pods.execute", lambda _, namespace, pod, *__: Executed(0, f"{namespace}/{pod}", "")
    )
    return fake
