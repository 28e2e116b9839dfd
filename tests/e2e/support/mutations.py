"""Changes of one field of an object, as another field manager makes them, tried at the API server without effect.

The API server answers a dry run with the object as it would be, managedFields included
(https://kubernetes.io/docs/reference/using-api/api-concepts/#dry-run): nothing changes, and nothing has to be restored.
"""

import copy
import json
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from clusters import Cluster
from components.comparison import differences, shown

INTRUDER = "intruder"
Path = tuple[str | int, ...]
_IDENTITY = ("apiVersion", "kind", "status")


@dataclass(frozen=True)
class Mutation:
    """A change of one field of an object.

    path: of the field that the comparison must name
    values: of which the first that the API server accepts is set; None removes the field
    """

    path: Path
    values: tuple[Any, ...]

    @property
    def is_addition(self) -> bool:
        """Whether it adds a field, for which an object may have no place."""
        return len(self.values) == 1


@dataclass(frozen=True)
class Target:
    """An object of the stack.

    applied: the manifest that the stack applied
    """

    cluster: Cluster
    applied: Mapping[str, Any]

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """API version, kind, namespace and name."""
        metadata = self.applied["metadata"]
        return self.applied["apiVersion"], self.applied["kind"], metadata.get("namespace", ""), metadata["name"]

    def live(self) -> Any:
        """Return the object as the cluster has it."""
        return self.cluster.find(*self.identity)

    def mutations(self, key: str) -> list[Mutation]:
        """Return every change of the object.

        key: PEM of a private key that belongs to none of the stack's certificates
        """
        found = [*of_leaves(self.applied), *of_lists(self.applied), *of_additions(self.applied)]
        return [*found, *of_entries(self.live(), key)] if self.applied["kind"] == "Secret" else found

    def is_named(self, mutation: Mutation, answer: "Answer") -> bool:
        """Return whether the comparison names the changed field, what it is in, or what is in it."""
        path = shown(mutation.path)
        names = [each.path for each in differences(self.applied, answer.live or {})]
        return any(path.startswith(name) or name.startswith(path) for name in names)


@dataclass(frozen=True)
class Answer:
    """The API server's answer: the object as it would be, or why it refuses the change."""

    live: Mapping[str, Any] | None = None
    refusal: str = ""


def of_leaves(applied: Mapping[str, Any]) -> Iterator[Mutation]:
    """Yield a change of each value that the stack applied; a list of plain values is one."""
    for name, value in applied.items():
        if name == "metadata":
            for key in ("labels", "annotations"):
                yield from _below(value.get(key) or {}, ("metadata", key))
        elif name not in _IDENTITY:
            yield from _below({name: value}, ())


def _below(value: Any, path: Path) -> Iterator[Mutation]:
    if isinstance(value, Mapping) and value:
        for name, each in value.items():
            yield from _below(each, (*path, name))
    elif isinstance(value, list) and any(isinstance(each, (Mapping, list)) for each in value):
        for index, each in enumerate(value):
            yield from _below(each, (*path, index))
    elif value is not None:
        yield Mutation(path, (*_others(value), None))


_WORDS = (
    "TCP",
    "UDP",
    "HTTP",
    "TLS",
    "ALLOW",
    "AUDIT",
    "SIMPLE",
    "DISABLE",
    "NONE",
    "Always",
    "Unconfined",
    "1Mi",
    "10.0.0.0/8",
)
"""Values of enumerations, quantities and address ranges."""


def _others(value: Any) -> Iterator[Any]:
    """Yield other values of the same type; of words of an enumeration, further words."""
    match value:
        case bool():
            yield not value
        case int() | float():
            yield int(value) + 1
        case str():
            yield from (f"{value}x", f"x{value}", *_WORDS)
        case list():
            yield from ([*value, "x.example.com"], [*value, "*"], ["x"], [*value, "HEAD"], ["Ingress"], [])
        case _:
            yield {"matchLabels": {"x": "y"}}
            yield {"labels": {"x": "y"}}


def of_lists(applied: Mapping[str, Any]) -> Iterator[Mutation]:
    """Yield an addition to each list that the stack applied: an empty item, or a copy of the first one."""
    for path, value in _lists(applied.get("spec"), ("spec",)):
        shared = [{**each, "weight": 50} for each in (*value, value[0])]
        yield Mutation(path, ([*value, {}], [*value, value[0]], [*value, _renamed(value[0])], shared, [{}]))


def _lists(value: Any, path: Path) -> Iterator[tuple[Path, list[Any]]]:
    if isinstance(value, Mapping):
        for name, each in value.items():
            yield from _lists(each, (*path, name))
    elif isinstance(value, list) and value and isinstance(value[0], Mapping):
        yield path, value
        for index, each in enumerate(value):
            yield from _lists(each, (*path, index))


def _renamed(item: Any) -> Any:
    """Return an item of a list whose items have names and ports of their own."""
    changed = copy.deepcopy(item)
    for key in ("port", "number"):
        if isinstance(changed.get(key), (int, float)):
            changed[key] = 81
        if isinstance(changed.get("port"), dict) and key in changed["port"]:
            changed["port"] |= {"number": 81, "name": "http-further", "protocol": "HTTP"}
            changed.pop("tls", None)
    if "name" in changed:
        changed["name"] = "further"
    return changed


ADDITIONS: Mapping[str, Mapping[Path, Any]] = {
    "AuthorizationPolicy": {("spec", "targetRefs"): [{"kind": "Service", "name": "x", "group": ""}]},
    "DestinationRule": {
        ("spec", "subsets"): [{"name": "x"}],
        ("spec", "trafficPolicy", "loadBalancer"): {"simple": "RANDOM"},
        ("spec", "trafficPolicy", "tls", "caCertificates"): "/x.pem",
        ("spec", "trafficPolicy", "portLevelSettings", 0, "tls", "caCrl"): "/x.pem",
        ("spec", "trafficPolicy", "portLevelSettings", 0, "outlierDetection"): {"consecutive5xxErrors": 3},
    },
    "Deployment": {
        ("spec", "template", "spec", "hostNetwork"): True,
        ("spec", "template", "spec", "containers", 0, "env"): [{"name": "A", "value": "b"}],
        ("spec", "template", "spec", "containers", 0, "ports", 0, "hostPort"): 8080,
        ("spec", "template", "metadata", "annotations"): {"sidecar.istio.io/inject": "false"},
    },
    "Gateway": {
        ("spec", "servers", 0, "tls", "minProtocolVersion"): "TLSV1_0",
        ("spec", "servers", 0, "bind"): "0.0.0.0",  # noqa: S104 - of an Envoy in a dry run
    },
    "NetworkPolicy": {("spec", "egress", 0, "to"): None, ("spec", "ingress"): [{}]},
    "Namespace": {("metadata", "labels", "istio.io/dataplane-mode"): "ambient"},
    "Service": {
        ("spec", "externalIPs"): ["192.0.2.1"],
        ("metadata", "annotations", "networking.istio.io/exportTo"): "~",
    },
    "ServiceAccount": {("automountServiceAccountToken",): False},
    "ServiceEntry": {("spec", "endpoints"): [{"address": "192.0.2.1"}], ("spec", "addresses"): ["192.0.2.1"]},
    "Telemetry": {("spec", "metrics"): [{"providers": [{"name": "x"}]}]},
    "VirtualService": {("spec", "tls"): [{"match": [{"sniHosts": ["x.example.com"], "port": 1}], "route": []}]},
}
"""Fields beyond those that the stack applied, by kind."""


def of_additions(applied: Mapping[str, Any]) -> Iterator[Mutation]:
    """Yield fields beyond those that the stack applied, as far as the object has a place for them."""
    for path, value in ADDITIONS.get(applied["kind"], {}).items():
        if _has_place(applied, path):
            yield Mutation(path, (value,))


def _has_place(value: Any, path: Path) -> bool:
    if len(path) == 1 or (path[0] == "metadata" and path[1] in ("labels", "annotations")):
        return isinstance(value, Mapping)
    step = path[0]
    if isinstance(step, int):
        return isinstance(value, list) and len(value) > step and _has_place(value[step], path[1:])
    return isinstance(value, Mapping) and step in value and _has_place(value[step], path[1:])


def of_entries(live: Mapping[str, Any], key: str) -> Iterator[Mutation]:
    """Yield a change of each entry of a Secret, and one more entry.

    key: PEM of a private key that belongs to none of the certificates
    """
    for name in live.get("data") or {}:
        yield Mutation(("data", name), (b64encode(key.encode()).decode(),))
        yield Mutation(("data", name), (None,))
    yield Mutation(("data", "further"), ("QQ==",))


def tried(target: Target, live: Mapping[str, Any], mutation: Mutation) -> Answer:
    """Try the values of a change one after the other; return the first answer that is no refusal, or the last one."""
    address = target.cluster.path(*target.identity) or ""
    answer = Answer(refusal="no value")
    for value in mutation.values:
        answer = _patched(target.cluster, address, _merge_patch(live, mutation.path, value))
        if answer.live is not None and not _same(answer.live, live):
            return answer
    return answer if answer.live is None else Answer(refusal="the API server sets the same value")


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether two objects have the same content."""

    def content(each: Mapping[str, Any]) -> dict[str, Any]:
        metadata = {key: each["metadata"].get(key) for key in ("labels", "annotations")}
        return {**{key: value for key, value in each.items() if key != "status"}, "metadata": metadata}

    return content(one) == content(other)


def _merge_patch(live: Any, path: Path, value: Any) -> Any:
    """Return a merge patch that sets the value at a path; a list on the way is given as a whole."""
    if not path:
        return value
    step, below = path[0], live
    if isinstance(step, int):
        items = copy.deepcopy(live)
        _set(items, path, value)
        return items
    below = live.get(step) if isinstance(live, Mapping) else None
    return {step: _merge_patch(below, path[1:], value)}


def _set(value: Any, path: Path, new: Any) -> None:
    for step in path[:-1]:
        value = value[step]
    if new is None:
        del value[path[-1]]
    else:
        value[path[-1]] = new


def _patched(cluster: Cluster, address: str, patch: Any) -> Answer:
    query = f"?dryRun=All&fieldManager={INTRUDER}"
    headers = {"Content-Type": "application/merge-patch+json", "Accept": "application/json"}
    request = cluster.api.param_serialize(
        "PATCH", f"{address}{query}", header_params=headers, body=patch, auth_settings=["BearerToken"]
    )
    method, url, sent, body, form = request
    response = cluster.api.call_api(method, url, sent, body, form, 30)
    found = json.loads(response.read())
    if response.status == HTTPStatus.OK:
        return Answer(found)
    return Answer(refusal=f"{response.status}: {found.get('message', '')}")
