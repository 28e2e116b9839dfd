"""A fake API server for attackers: objects by name, and a log of requests."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from kubernetes.client import ApiClient, ApiException

from verification.attacker import Attacker

ROUTE = {"kind": "VirtualService", "name": "route", "spec": {"hosts": ["a.test"]}}


def condition(ready: bool) -> SimpleNamespace:
    return SimpleNamespace(type="Ready", status=str(ready))


@dataclass
class FakeApi:
    """A cluster's objects, as KIND NAMESPACE/NAME, and a log of the requests."""

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


def attacker_of(mark: str = "0a1b", name: str = "temporary") -> Attacker:
    """Return the attacker of a run that has created nothing yet."""
    return Attacker("target cluster", ApiClient(), "mtls", mark, "curl:1", name)
