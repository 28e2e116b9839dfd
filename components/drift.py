"""Differences between the state of a stack and its clusters: objects that are gone, and fields that changed.

Without them, `pulumi up` would report success where a cluster lacks a part of the deployment, or has it otherwise.
"""

import asyncio
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pulumi
from pulumi.output import Unknown

from .comparison import Difference, differences, lacking
from .ownership import OWNER_LABEL, Owner, is_owned
from .readiness import ClusterReader, called
from .threads import RunInThread

# The output of the Kubernetes provider that has what it applied, with the names of the API:
# https://github.com/pulumi/pulumi-kubernetes/blob/master/provider/pkg/provider/provider.go (checkpointObject)
APPLIED = "__inputs"


class _Place(NamedTuple):
    """Where objects of a kind are; the namespace is empty for kinds without one."""

    api_version: str
    kind: str
    namespace: str


_Listed = Mapping[tuple[str, str], Any] | None


@dataclass(frozen=True, eq=False)
class _Object:
    api_version: str
    kind: str
    resource: Any

    def place(self, known: str) -> _Place:
        """Return where the object is, by its ID in the state."""
        return _Place(self.api_version, self.kind, known.rpartition("/")[0])


class _Change(NamedTuple):
    """An update of an object, as the engine planned it: its inputs in the state, and its new ones."""

    old: Mapping[str, Any]
    new: Mapping[str, Any]


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
    _changes: dict[str, _Change] = field(default_factory=dict, init=False)

    def add(self, resource: Any, props: Mapping[str, Any]) -> None:
        """Add an object that the program makes with these inputs."""
        self._objects.append(_Object(props["api_version"], props["kind"], resource))

    def add_patch(self, resource: Any, props: Mapping[str, Any]) -> None:
        """Add the fields of `spec` that the program sets by a patch with these inputs."""
        if spec := props["spec"]:
            self._patches.append(_Patch(props["api_version"], props["kind"], resource, spec))

    def add_change(self, urn: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
        """Add an update that the engine is about to make, by the inputs of the object in the state and its new ones."""
        self._changes[urn] = _Change(_known(old), _known(new))

    def is_changing(self, urn: str) -> bool:
        """Return whether the engine is about to update the object with this URN."""
        return urn in self._changes

    async def drift(self, owner: Owner) -> list[str]:
        """Return a line for each object, and each field, that the cluster does not have as the state has it.

        An object without the mark of `owner` is no longer this stack's.
        """
        known = {each: await each.resource.id.future() for each in self._objects}
        listed = await self._listed([each.place(name) for each, name in known.items() if name], owner)
        objects = [self._drifted(each, name, listed, owner) for each, name in known.items() if name]
        patches = [self._unset(each) for each in self._patches]
        return [line for lines in await asyncio.gather(*objects, *patches) for line in lines]

    async def _listed(self, places: Collection[_Place], owner: Owner) -> dict[_Place, _Listed]:
        """List the stack's objects wherever it has several: all of them are a few requests instead of thousands."""
        if not owner.mark:
            return {}
        labels = {OWNER_LABEL: owner.mark}
        several = [place for place, number in Counter(places).items() if number > 1]
        calls = [
            self.run_in_thread(self.cluster.listed, api_version, kind, labels, namespace)
            for api_version, kind, namespace in several
        ]
        return dict(zip(several, await asyncio.gather(*calls), strict=True))

    async def _drifted(self, made: _Object, known: str, listed: Mapping[_Place, _Listed], owner: Owner) -> list[str]:
        namespace, _, name = known.rpartition("/")
        named, host = called(made.kind, namespace, name), self.cluster.host
        found = (listed.get(made.place(known)) or {}).get((namespace, name))
        if not found:  # it may not be listed, or is there without the label
            found = await self.run_in_thread(self.cluster.find, made.api_version, made.kind, namespace, name)
        if not found:
            return [f"cluster {host} has no {named}, which this stack made"]
        metadata = found.get("metadata") or {}
        if not owner.mark or owner.owns(metadata):
            return [f"cluster {host}: {named}: {each}" for each in await self._changed(made, found)]
        label = f"{OWNER_LABEL}={owner.mark}"
        reason = "another stack made it; " if is_owned(metadata) else f"it has no label {label}; set that, or "
        return [f"cluster {host}: {named} is no longer this stack's: {reason}remove it"]

    async def _changed(self, made: _Object, found: Mapping[str, Any]) -> list[Difference]:
        """Return the fields of an object that are not as the state has them.

        What a preview is about to change is as before: fields that the stack itself set by an update that was
        interrupted, or that already are as they will be, are no drift.
        """
        change = await self._planned(made.resource)
        if not change:
            applied = await getattr(made.resource, APPLIED).future()
            return differences(applied, found) if applied else []
        still = [each.path for each in differences(change.new, found)]
        return [
            each
            for each in differences(change.old, found)
            if not each.is_stacks and any(each.path.startswith(path) or path.startswith(each.path) for path in still)
        ]

    async def _planned(self, resource: Any) -> _Change | None:
        """Return the update that a preview is about to make."""
        return self._changes.get(await resource.urn.future()) if pulumi.runtime.is_dry_run() else None

    async def _unset(self, patch: _Patch) -> list[str]:
        """Return the fields that a patch set, and that the cluster does not have.

        A preview names none of a patch that the update sets again, as `pulumi up --refresh` does.
        """
        known: str | None = await patch.resource.id.future()
        wanted = await pulumi.Output.from_input(patch.spec).future() or {}
        had = await patch.resource.spec.future()
        if not known or await self._planned(patch.resource):
            return []
        if any(lacking(wanted, had)):  # `pulumi refresh` came before a destroy: the state has the change
            return []
        namespace, _, name = known.rpartition("/")
        found = await self.run_in_thread(self.cluster.find, patch.api_version, patch.kind, namespace, name)
        named = f"cluster {self.cluster.host}: {called(patch.kind, namespace, name)}"
        unset = lacking(wanted, (found or {}).get("spec"))
        return [f"{named} no longer has {each}, which this stack set" for each in unset]


def _known(value: Any) -> Any:
    """Return inputs with None for values that are not compared.

    They are those that a preview does not know, which the update will set, and those that hold a secret, which a hook
    has as an output.
    """
    if isinstance(value, (Unknown, pulumi.Output)):
        return None
    if isinstance(value, Mapping):
        return {name: _known(each) for name, each in value.items()}
    return [_known(each) for each in value] if isinstance(value, list) else value
