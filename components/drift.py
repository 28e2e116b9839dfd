"""Differences between the state of a stack and its clusters: objects that are gone, and fields that changed.

Without them, `pulumi up` would report success where a cluster lacks a part of the deployment.
"""

import asyncio
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pulumi

from .ownership import OWNER_LABEL, Owner, is_owned
from .readiness import ClusterReader, called
from .threads import RunInThread


class _Object(NamedTuple):
    api_version: str
    kind: str
    resource: Any


class _Patch(NamedTuple):
    api_version: str
    kind: str
    resource: Any
    spec: pulumi.Input[Any]


@dataclass
class Inventory:
    """The objects of one cluster that the program makes, and the fields that it sets by patches of further objects.

    cluster: has them
    run_in_thread: runs the reads
    """

    cluster: ClusterReader
    run_in_thread: RunInThread
    _objects: list[_Object] = field(default_factory=list, init=False)
    _patches: list[_Patch] = field(default_factory=list, init=False)

    def add(self, resource: Any, props: Mapping[str, Any]) -> None:
        """Add an object that the program makes with these inputs."""
        self._objects.append(_Object(props["api_version"], props["kind"], resource))

    def add_patch(self, resource: Any, props: Mapping[str, Any]) -> None:
        """Add the fields of `spec` that the program sets by a patch with these inputs."""
        if spec := props["spec"]:
            self._patches.append(_Patch(props["api_version"], props["kind"], resource, spec))

    async def drift(self, owner: Owner) -> list[str]:
        """Return a line for each object, and each field of a patch, that the state has and the cluster lacks.

        An object without the mark of `owner` is no longer this stack's.
        """
        objects = [self._lost(each, owner) for each in self._objects]
        # In a preview, each field would be reported that `pulumi up --refresh` is about to set again.
        patches = [] if pulumi.runtime.is_dry_run() else [self._unset(each) for each in self._patches]
        return [line for lines in await asyncio.gather(*objects, *patches) for line in lines]

    async def _lost(self, made: _Object, owner: Owner) -> list[str]:
        known: str | None = await made.resource.id.future()
        if not known:
            return []
        namespace, _, name = known.rpartition("/")
        named, host = called(made.kind, namespace, name), self.cluster.host
        found = await self.run_in_thread(self.cluster.metadata, made.api_version, made.kind, namespace, name)
        if not found:
            return [f"cluster {host} has no {named}, which this stack made"]
        if not owner.mark or owner.owns(found):
            return []
        label = f"{OWNER_LABEL}={owner.mark}"
        reason = "another stack made it; " if is_owned(found) else f"it has no label {label}; set that, or "
        return [f"cluster {host}: {named} is no longer this stack's: {reason}remove it"]

    async def _unset(self, patch: _Patch) -> list[str]:
        known: str | None = await patch.resource.id.future()
        wanted = await pulumi.Output.from_input(patch.spec).future() or {}
        had = await patch.resource.spec.future()
        if not known or any(_lacking(wanted, had)):  # `pulumi refresh` came before a destroy: the state has the change
            return []
        namespace, _, name = known.rpartition("/")
        found = await self.run_in_thread(self.cluster.find, patch.api_version, patch.kind, namespace, name)
        named = f"cluster {self.cluster.host}: {called(patch.kind, namespace, name)}"
        lacking = _lacking(wanted, (found or {}).get("spec"))
        return [f"{named} no longer has {each}, which this stack set" for each in lacking]


def _lacking(wanted: Mapping[str, Any], found: Any, path: str = "spec") -> Iterator[str]:
    """Yield each wanted field, as PATH: VALUE, that is missing in `found` or differs there."""
    for name, value in wanted.items():
        there = found.get(name) if isinstance(found, Mapping) else None
        if isinstance(value, Mapping):
            yield from _lacking(value, there, f"{path}.{name}")
        elif there != value:
            yield f"{path}.{name}: {json.dumps(value)}"
