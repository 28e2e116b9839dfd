"""Who set which field of an object, by its metadata.managedFields.

The API server keeps a set of fields for each manager, operation and subresource
(https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management): an apply sets exactly the applied
fields; an update adds those that it changed, and takes them from all further managers
(https://github.com/kubernetes-sigs/structured-merge-diff/blob/master/merge/update.go). The fields are a trie: `f:NAME`
is a field, `k:KEYS` the item of a list with these keys, `v:VALUE` an item that is a value, `.` the node itself; a node
without further nodes is owned as a whole (https://github.com/kubernetes-sigs/structured-merge-diff/tree/master/fieldpath).
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .ownership import FIELD_MANAGER

Step = str | int
Path = tuple[Step, ...]
_ITSELF, _FIELD, _ITEM = ".", "f:", "k:"
# Of labels and annotations, each is a field of its own, also where none was applied.
_MAPS = ("metadata", "labels", "annotations")


@dataclass(frozen=True)
class Managed:
    """The fields that one manager set, by one operation.

    subresource: through which it did; empty for the object itself
    """

    manager: str
    subresource: str
    fields: Mapping[str, Any]

    @property
    def is_stacks(self) -> bool:
        """Whether a stack of this program set them."""
        return self.manager == FIELD_MANAGER


def managed(live: Mapping[str, Any]) -> list[Managed]:
    """Return what each manager set in an object, as the cluster has it."""
    entries = (live.get("metadata") or {}).get("managedFields") or []
    return [
        Managed(each.get("manager", ""), each.get("subresource", ""), each.get("fieldsV1") or {}) for each in entries
    ]


def owners(entries: Sequence[Managed], live: Any, path: Path) -> list[Managed]:
    """Return who set the value at a path: fields of the object, and indexes of its lists."""
    return [each for each in entries if each.fields and _owns(each.fields, live, path)]


def _owns(fields: Mapping[str, Any], live: Any, path: Path) -> bool:
    if not path or not fields:
        return True
    step, *rest = path
    if isinstance(step, int):
        item = live[step] if isinstance(live, list) and step < len(live) else None
        return any(_owns(below, item, tuple(rest)) for key, below in fields.items() if _is_item(key, item))
    below = fields.get(f"{_FIELD}{step}")
    return below is not None and _owns(below, live.get(step) if isinstance(live, Mapping) else None, tuple(rest))


def _is_item(key: str, item: Any) -> bool:
    return _may_be_item(key, item) and set(json.loads(key.removeprefix(_ITEM))) <= set(item)


def _may_be_item(key: str, item: Any) -> bool:
    """Return whether an item has no other keys; keys that were not applied are defaults, as a port's protocol is."""
    if not key.startswith(_ITEM) or not isinstance(item, Mapping):
        return False
    return all(item.get(name, value) == value for name, value in json.loads(key.removeprefix(_ITEM)).items())


def added(fields: Mapping[str, Any], live: Any, applied: Any, path: Path = ()) -> Iterator[Path]:
    """Yield the path of each field that a manager set, that the object has, and that was not applied.

    Items that lists have beyond those that were applied are none: a list is compared as a whole. A field that was
    applied as None has a value that is not known here.
    """
    for key, below in fields.items():
        if key.startswith(_FIELD) and isinstance(live, Mapping):
            name = key.removeprefix(_FIELD)
            if name in live and not (isinstance(applied, Mapping) and applied.get(name, "") is None):
                yield from _added_at(below, live[name], _at(applied, name), (*path, name))
        elif isinstance(live, list) and isinstance(applied, list):
            for index, (item, was) in enumerate(zip(live, applied, strict=False)):
                if _is_item(key, item) and _may_be_item(key, was):
                    yield from added(below, item, was, (*path, index))


def _at(applied: Any, name: str) -> Any:
    return applied.get(name) if isinstance(applied, Mapping) else None


def _added_at(below: Mapping[str, Any], live: Any, applied: Any, path: Path) -> Iterator[Path]:
    if applied is None and path[-1] in _MAPS:
        applied = {}
    if applied is None:
        yield path
    elif set(below) - {_ITSELF}:
        yield from added(below, live, applied, path)
    elif isinstance(live, Mapping) and isinstance(applied, Mapping):  # it is the manager's as a whole
        whole: dict[str, dict[str, Any]] = {f"{_FIELD}{name}": {} for name in live}
        yield from added(whole, live, applied, path)
