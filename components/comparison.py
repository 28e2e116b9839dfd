"""Compares objects with what the stack applied, field by field.

- Each applied field must have the applied value: lists as a whole, in length and order.
- A field beyond those is a difference if somebody set it: the stack's last `pulumi up` did not. Values that the API
  server sets by itself have no manager, or are known here. Of an object whose managers somebody cleared, every value
  that is not known here is a difference.
- Of labels and annotations beyond those, Istio's count: they change what sidecars and gateways do.
- What a controller writes into `status`, or by the subresource `scale` as a HorizontalPodAutoscaler does, is no
  difference, unless it leaves no replica.

Values of Secrets, ConfigMaps and environment variables are never shown.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import Any

from . import secret_contents
from .kinds import edit_command
from .managed_fields import Managed, Path, added, managed, owners
from .ownership import FIELD_MANAGER

_LONGEST = 120
_CONTENTS = ("data", "stringData", "binaryData")
_ENV = "env"
_HIDDEN_KINDS = ("Secret", "ConfigMap")
# Kinds of Kubernetes' own groups: the API server adds its defaults to their lists. Custom resources have none there.
_OWN_GROUPS = ("", "apps", "networking.k8s.io")
# Of them each is a field of its own, also where none was applied.
_TEMPLATES_MAPS = ((("metadata",), "labels"), (("metadata",), "annotations"))
# Nothing here is the stack's, or is compared.
_ASIDE = ("apiVersion", "kind", "metadata", "status")
# Defaults of Kubernetes, which belong to whoever created an object by another way than a server-side apply:
# https://github.com/kubernetes/kubernetes/blob/master/pkg/apis/core/v1/defaults.go and …/apps/v1/defaults.go.
# None stands for any value, which the API server chooses.
_POD = "spec.template.spec"
_CONTAINER = f"{_POD}.containers"
_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "Namespace": {"spec": {"finalizers": ["kubernetes"]}, "spec.finalizers": ["kubernetes"]},
    "Secret": {"type": "Opaque"},
    # The token controller of Kubernetes before 1.24, and registries' controllers, add them.
    "ServiceAccount": {"secrets": None, "imagePullSecrets": None},
    "NetworkPolicy": {"spec.egress.ports.protocol": "TCP"},
    "Service": {
        "spec.allocateLoadBalancerNodePorts": True,
        "spec.clusterIP": None,
        "spec.clusterIPs": None,
        "spec.externalTrafficPolicy": "Cluster",
        "spec.internalTrafficPolicy": "Cluster",
        "spec.ipFamilies": None,
        "spec.ipFamilyPolicy": None,
        "spec.ports.nodePort": None,
        "spec.ports.protocol": "TCP",
        "spec.ports.targetPort": None,
        "spec.sessionAffinity": "None",
        "spec.type": "ClusterIP",
    },
    # A user asks for a renewal by the first, and Gardener writes the second (reconciler.go, see _is_own_secret).
    "Certificate": {"spec.renew": None, "spec.ensureRenewedAfter": None},
    "Deployment": {
        "spec.progressDeadlineSeconds": 600,
        "spec.revisionHistoryLimit": 10,
        "spec.strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
        "spec.template.metadata.creationTimestamp": None,
        f"{_POD}.dnsPolicy": "ClusterFirst",
        f"{_POD}.restartPolicy": "Always",
        f"{_POD}.schedulerName": "default-scheduler",
        f"{_POD}.serviceAccount": None,
        f"{_CONTAINER}.ports.protocol": "TCP",
        f"{_CONTAINER}.terminationMessagePath": "/dev/termination-log",
        f"{_CONTAINER}.terminationMessagePolicy": "File",
    },
}
_QUANTITIES = ("limits", "requests")
_SUFFIXES = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}


@dataclass(frozen=True)
class Difference:
    """A field that is not as the stack applied it.

    path: such as spec.servers[0].tls.mode
    says: what it is, and was
    by: the field managers that set its value; none where it is gone
    is_addition: whether somebody added it, as a field or at the end of a list: `pulumi up --refresh` removes no such
        thing, since the Kubernetes provider looks at what was applied alone
    remedy: how to remove what was added; empty for changed fields
    """

    path: str
    says: str
    by: tuple[str, ...] = ()
    is_addition: bool = False
    remedy: str = ""

    @property
    def is_stacks(self) -> bool:
        """Whether the stack itself set the value: by an update that was interrupted."""
        return self.by == (FIELD_MANAGER,)

    def __str__(self) -> str:
        if self.is_stacks:
            by = f", {'added' if self.is_addition else 'set'} by an update of this stack that was interrupted"
        elif self.by or self.is_addition:
            by = f", {'added' if self.is_addition else 'set'}" + (f" by {' and '.join(self.by)}" if self.by else "")
        else:
            by = ""
        return f"{self.path}{self.says}{by}{self.remedy}"


def differences(applied: Mapping[str, Any], live: Mapping[str, Any]) -> list[Difference]:
    """Return the differences between an object and the manifest that the stack applied.

    applied: has None for values that are secret, or lacks them
    live: the object as the cluster has it, with metadata.managedFields
    """
    named = (str((live.get("metadata") or {}).get(key, "")) for key in ("namespace", "name"))
    command = edit_command(str(applied.get("apiVersion", "")), str(applied.get("kind", "")), *named)
    found = {each.path: each for each in _Comparison(applied, live).found()}
    return [
        replace(each, remedy=f"; remove it with {command}") if each.is_addition else each for each in found.values()
    ]


def lacking(wanted: Mapping[str, Any], found: Any, path: str = "spec") -> Iterator[str]:
    """Yield each field that a patch set, as PATH: VALUE, that is missing in `found` or differs there.

    Further fields are the object's own. A wanted value that is None is not compared.
    """
    for name, value in wanted.items():
        there = found.get(name) if isinstance(found, Mapping) else None
        if isinstance(value, Mapping):
            yield from lacking(value, there, f"{path}.{name}")
        elif value is not None and there != value:
            yield f"{path}.{name}: {json.dumps(value)}"


class _Comparison:
    def __init__(self, applied: Mapping[str, Any], live: Mapping[str, Any]) -> None:
        self._applied, self._live = applied, live
        self._kind = str(applied.get("kind", ""))
        self._has_defaults = str(applied.get("apiVersion", "")).rpartition("/")[0] in _OWN_GROUPS
        self._managed = managed(live)
        self._defaults = _DEFAULTS.get(self._kind, {})

    def found(self) -> Iterator[Difference]:
        yield from self._of_metadata()
        for name, wanted in self._applied.items():
            if name not in _ASIDE and not self._is_contents(name):
                strict = not self._managed and name not in _CONTENTS  # the manifest lacks values that are secret
                yield from self._changed(wanted, self._live.get(name), (name,), strict=strict)
        yield from self._additions()
        if self._kind == "Secret":
            yield from self._of_contents()

    def _of_contents(self) -> Iterator[Difference]:
        annotations = (self._applied.get("metadata") or {}).get("annotations") or {}
        annotation = annotations.get(secret_contents.CONTENTS_ANNOTATION) or ""
        for name, says in secret_contents.differences(annotation, self._live.get("data") or {}):
            path = ("data", name)
            yield Difference(shown(path), says, _names(owners(self._managed, self._live, path)), not says)

    def _is_contents(self, name: str) -> bool:
        """Return whether a field is compared by what the Secret's annotation says of it."""
        return self._kind == "Secret" and name in _CONTENTS

    def _of_metadata(self) -> Iterator[Difference]:
        applied, live = (each.get("metadata") or {} for each in (self._applied, self._live))
        for name in ("labels", "annotations"):
            wanted, there = applied.get(name) or {}, live.get(name) or {}
            yield from self._changed(wanted, there, ("metadata", name))
            for key in sorted(set(there) - set(wanted)):
                if is_istios(key):
                    yield self._addition(("metadata", name, key), there[key])

    def _changed(self, wanted: Any, there: Any, path: Path, *, strict: bool = False) -> Iterator[Difference]:
        """Yield what is not as it was applied.

        strict: whether fields of a mapping beyond those that were applied are differences
        """
        if wanted is None:
            return
        if isinstance(wanted, Mapping) and isinstance(there, Mapping):
            for name, each in wanted.items():
                yield from self._changed(each, there.get(name), (*path, name), strict=strict)
            for name in sorted(set(there) - set(wanted)) if strict else ():
                if (path[-1:], name) in _TEMPLATES_MAPS:
                    yield from self._changed({}, there[name], (*path, name), strict=True)
                elif self._is_no_default((*path, name), there[name]):
                    yield self._addition((*path, name), there[name])
        elif isinstance(wanted, list) and isinstance(there, list) and _are_alike(wanted, there):
            is_strict = strict or not self._has_defaults or self._is_taken(path)
            for index, (each, item) in enumerate(zip(wanted, there, strict=True)):
                yield from self._changed(each, item, (*path, index), strict=is_strict)
        elif not _same(wanted, there, path) and not (there is None and self._is_left_out(wanted)):
            yield from self._difference(path, wanted, there)

    def _is_taken(self, path: Path) -> bool:
        """Return whether others own a list as a whole."""
        found = owners(self._managed, self._live, path)
        return bool(found) and not any(each.is_stacks for each in found)

    def _is_left_out(self, wanted: Any) -> bool:
        """Return whether Kubernetes' own kinds have no such value: it says the same as none."""
        return self._has_defaults and wanted in ({}, [], "")

    def _difference(self, path: Path, wanted: Any, there: Any) -> Iterator[Difference]:
        by = owners(self._managed, self._live, path) if there is not None else []
        if any(each.subresource == "scale" for each in by) and isinstance(there, int) and there > 0:
            return
        if self._is_hidden(path) or _has_unknown(wanted):
            says = ": gone" if there is None else ": another value"
        elif there is None:
            says = f": gone, was {_short(wanted)}"
        else:
            now, was = _without_common(there, wanted)
            says = f": {_short(now)} instead of {_short(was)}"
        yield Difference(shown(path), says, _names(by), _is_longer(there, wanted))

    def _additions(self) -> Iterator[Difference]:
        seen: set[Path] = set()
        for each in self._managed:
            fields = {key: below for key, below in each.fields.items() if key.removeprefix("f:") not in _ASIDE}
            for path in added(fields, self._live, self._applied) if not each.subresource else ():
                if path not in seen and self._counts(path, each):
                    seen.add(path)
                    yield self._addition(path, _value(self._live, path))

    def _counts(self, path: Path, by: Managed) -> bool:
        if self._is_contents(str(path[0])) or (by.is_stacks and path[0] in _CONTENTS):
            return False  # the manifest lacks values that are secret
        return self._is_no_default(path, _value(self._live, path))

    def _is_no_default(self, path: Path, value: Any) -> bool:
        if path[-3:-1] in (("metadata", "labels"), ("metadata", "annotations")):
            return is_istios(str(path[-1]))
        return not self._is_default(path, value)

    def _is_default(self, path: Path, value: Any) -> bool:
        named = ".".join(each for each in path if isinstance(each, str))
        if self._kind == "Certificate" and named == "spec.secretRef":
            return self._is_own_secret(value)
        if self._kind == "Service" and named == "spec.ports.targetPort":
            return bool(value == _value(self._live, (*path[:-1], "port")))
        return named in self._defaults and self._defaults[named] in (None, value)

    def _is_own_secret(self, reference: Any) -> bool:
        """Return whether a Certificate's secretRef is its secretName.

        Gardener writes it: https://github.com/gardener/cert-management/blob/master/pkg/controller/issuer/certificate/reconciler.go
        """
        applied = self._applied.get("spec") or {}
        namespace = (self._applied.get("metadata") or {}).get("namespace")
        return bool(
            reference
            in ({"name": applied.get("secretName"), "namespace": namespace}, {"name": applied.get("secretName")})
        )

    def _addition(self, path: Path, value: Any) -> Difference:
        by = _names(owners(self._managed, self._live, path))
        says = "" if self._is_hidden(path) else f": {_short(value)}"
        return Difference(shown(path), says, by, is_addition=True)

    def _is_hidden(self, path: Path) -> bool:
        return (self._kind in _HIDDEN_KINDS and path[0] in _CONTENTS) or (self._kind == "Deployment" and _ENV in path)


def is_istios(key: str) -> bool:
    """Return whether a label or an annotation is Istio's: it decides about injection, routes or policies."""
    prefix = key.rpartition("/")[0]
    return key == "istio-injection" or prefix == "istio.io" or prefix.endswith(".istio.io")


def _names(entries: Sequence[Managed]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each.manager for each in entries if each.manager))


def _are_alike(wanted: Sequence[Any], there: Sequence[Any]) -> bool:
    """Return whether lists are compared item by item."""
    return len(wanted) == len(there) and any(each is None or isinstance(each, (Mapping, list)) for each in wanted)


def _has_unknown(wanted: Any) -> bool:
    """Return whether a part of a value is secret, and with it what an object has there."""
    parts = wanted.values() if isinstance(wanted, Mapping) else wanted if isinstance(wanted, list) else ()
    return wanted is None or any(_has_unknown(each) for each in parts)


def _is_longer(there: Any, wanted: Any) -> bool:
    return isinstance(there, list) and isinstance(wanted, list) and there[: len(wanted)] == wanted


def _same(wanted: Any, there: Any, path: Path) -> bool:
    if isinstance(wanted, bool) or isinstance(there, bool):
        return wanted is there
    if wanted == there:
        return True
    is_quantity = len(path) > 1 and path[-2] in _QUANTITIES
    return is_quantity and _quantity(wanted) is not None and _quantity(wanted) == _quantity(there)


def _quantity(value: Any) -> Decimal | None:
    """Return the amount of a quantity; None if it is none.

    The API server writes quantities in their shortest form: 1000m as 1
    (https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/).
    """
    text = str(value)
    number = text.rstrip("".join({*_SUFFIXES, *"Ki"}))
    suffix = text[len(number) :]
    try:
        if suffix in _BINARY:
            return Decimal(number) * Decimal(1024) ** _BINARY[suffix]
        return Decimal(number).scaleb(_SUFFIXES[suffix])
    except (InvalidOperation, KeyError):
        return None


def _value(live: Any, path: Path) -> Any:
    for step in path:
        live = live[step]
    return live


def shown(path: Path) -> str:
    """Return a path as messages have it, such as spec.servers[0].tls or metadata.labels["istio.io/rev"]."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif "." in step or "/" in step:
            text += f'["{step}"]'
        else:
            text += f".{step}" if text else step
    return text


def _without_common(now: Any, was: Any) -> tuple[Any, Any]:
    """Return lists with … in place of the items that both begin with."""
    if not isinstance(now, list) or not isinstance(was, list):
        return now, was
    same = 0
    while same < min(len(now), len(was)) and now[same] == was[same]:
        same += 1
    return ([_Rest(), *now[same:]], [_Rest(), *was[same:]]) if same else (now, was)


class _Rest(str):
    """Stands for items that are the same."""

    __slots__ = ()


def _short(value: Any) -> str:
    """Return a value as JSON, cut if it is long."""
    if isinstance(value, list):
        text = f"[{', '.join('…' if isinstance(each, _Rest) else _json(each) for each in value)}]"
    else:
        text = _json(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _json(value: Any) -> str:
    return json.dumps(_plain(value), ensure_ascii=False, sort_keys=True)


def _plain(value: Any) -> Any:
    """Return a value with whole numbers as such: the engine has floats only; without a container's variables."""
    if isinstance(value, Mapping):
        hidden = [name for name, each in value.items() if name == _ENV and isinstance(each, list)]
        return {name: "…" if name in hidden else _plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
