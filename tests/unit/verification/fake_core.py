"""A client's cluster whose API answers as a test says."""

from collections.abc import Callable

import pytest
from kubernetes.client import ApiClient, CoreV1Api

from components.namespaced_name import NamespacedName
from settings.clusters import EGRESS_GATEWAY
from verification.client_cluster import ClientCluster

EGRESS = NamespacedName.parse(EGRESS_GATEWAY)


def fake_core(monkeypatch: pytest.MonkeyPatch, **methods: Callable[..., object]) -> ClientCluster:
    """Return a client's cluster; `methods` replace those of CoreV1Api."""
    for name, method in methods.items():
        monkeypatch.setattr(CoreV1Api, name, lambda _, *arguments, method=method, **__: method(*arguments))
    return ClientCluster(ApiClient(), "mtls", EGRESS, "credential")
