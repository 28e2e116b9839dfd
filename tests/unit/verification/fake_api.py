"""A fake API server for attackers: objects by name, and a log of requests."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from types import SimpleNamespace
from typing import Any

from kubernetes.client import ApiClient, ApiException

from verification.attacker import Attacker

RUN_ID = "0123456789abcdef"
ROUTE = {"kind": "VirtualService", "name": "route", "spec": {"hosts": ["a.test"]}}


def condition(ready: bool) -> SimpleNamespace:
    return SimpleNamespace(type="Ready", status=str(ready))


@dataclass
class FakeApi:
    """A cluster's objects, as KIND NAMESPACE/NAME, and a log of the requests; `now` is the time of its API server."""

    objects: dict[str, Any] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)
    refused: dict[str, ApiException] = field(default_factory=dict)
    is_ready: bool = True
    containers: tuple[str, ...] = ("curl", "istio-proxy")
    now: datetime | None = datetime(2026, 1, 1, tzinfo=UTC)

    def create(self, kind: str, namespace: str, body: Any) -> Any:
        called = f"{kind} {namespace}/{body['metadata']['name']}"
        self.done.append(f"create {called}")
        if kind in self.refused:
            raise self.refused[kind]
        self.objects[called] = body
        return self.read(kind, namespace, body["metadata"]["name"])

    def delete(self, kind: str, namespace: str, name: str, options: Any = None) -> None:
        called = f"{kind} {namespace}/{name}"
        self.done.append(f"delete {called}")
        if called not in self.objects:
            raise ApiException(404, "Not Found")
        if options and options.preconditions.uid != self.read(kind, namespace, name).metadata.uid:
            raise ApiException(409, "Conflict")
        del self.objects[called]
        if kind == "Namespace":
            for inside in [called for called in self.objects if f" {name}/" in called]:
                del self.objects[inside]

    def read(self, kind: str, namespace: str, name: str) -> Any:
        called = f"{kind} {namespace}/{name}"
        if called not in self.objects and name != "mtls":
            raise ApiException(404, "Not Found")
        made = self.objects.get(called, {"metadata": {}})["metadata"]
        labels = {"istio-injection": "enabled", "team": "a", **made.get("labels", {})}
        uid = made.get("uid", f"uid of {called}")
        containers = [SimpleNamespace(name=each) for each in self.containers]
        return SimpleNamespace(
            metadata=SimpleNamespace(name=name, labels=labels, uid=uid, deletion_timestamp=None),
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
        found = [
            self._item(called)
            for called, body in self.objects.items()
            if called.startswith(f"{kind} ") and body["metadata"]["labels"].get(label) == value
        ]
        return SimpleNamespace(items=found), 200, {"Date": format_datetime(self.now, usegmt=True)} if self.now else {}

    def _item(self, called: str) -> Any:
        namespace, _, name = called.partition(" ")[2].partition("/")
        about = {"creation_timestamp": self.now, "deletion_timestamp": None, **self.objects[called]["metadata"]}
        return SimpleNamespace(metadata=SimpleNamespace(**{**about, "namespace": namespace or None, "name": name}))


def attacker_of(mark: str = "0a1b", name: str = "temporary", run: str = RUN_ID) -> Attacker:
    """Return the attacker of a run that has created nothing yet."""
    return Attacker("target cluster", ApiClient(), "mtls", mark, run, "curl:1", name)
