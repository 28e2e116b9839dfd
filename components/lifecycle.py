"""The one rule for the life of a stack's Kubernetes objects.

An object that is created under a name of its own choosing is taken over if it is there already (server-side apply), and
what is deleted goes by name. Hence, for every object of a stack:

- it bears the label kyma-mtls/owner, whose value no two stacks share, and names the resource that made it;
- it is created only where no such object is, or where the same resource left it behind in an update that was killed;
- it has one field manager, so that an update may change what an earlier one that was killed had created;
- it is deleted before it is replaced, so that no later deletion by name meets the new one;
- it has to be in its cluster when the program ends, and still the stack's own, else `pulumi up` would call a deployment
  whole that is not. So have the fields that the stack sets by patches of what others made.

Whoever waits for an object (Ready) asks the cluster that the object is in.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import pulumi

from .readiness import Reader, Ready, called

OWNER = "kyma-mtls/owner"
RESOURCE = "kyma-mtls/resource"
# Without it the Kubernetes provider chooses another field manager for each creation.
MANAGER = {"pulumi.com/patchFieldManager": "kyma-mtls"}

_AT_ONCE = 8
_Answer = TypeVar("_Answer")


class ClusterReader(Reader, Protocol):
    """What the rule asks of a cluster."""

    def metadata(self, api_version: str, kind: str, namespace: str, name: str) -> dict[str, Any] | None:
        """Return the metadata of an object; None if there is none."""


class NotOwned(Exception):  # noqa: N818 - the engine shows the text alone
    """An object that the stack would create is somebody else's."""


@dataclass
class Lifecycle:
    """The rule for the objects of one cluster.

    name: tells the clusters of a stack apart
    owner: the stack's mark; known in previews once the stack has been deployed
    cluster: is asked for what is there
    """

    name: str
    owner: pulumi.Input[str]
    cluster: ClusterReader
    _objects: list[tuple[str, str, Any]] = field(default_factory=list, init=False)
    _patches: list[tuple[str, str, Any, pulumi.Input[Any]]] = field(default_factory=list, init=False)
    _hooks: dict[str, pulumi.ResourceHook] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self._threads = ThreadPoolExecutor(_AT_ONCE)

    def options(self, key: str, *, to_be_released: Collection[str] = ()) -> pulumi.ResourceOptions:
        """Return options for a component, which put every object below it under the rule.

        key: of the config, by which other names are chosen
        to_be_released: objects, each KIND NAMESPACE/NAME, that Kyma's operator still has during a preview, and deletes
            before the update creates its own
        """
        check = self._hook(key, to_be_released)

        def apply(args: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult | None:
            if isinstance(args.resource, Ready):
                return self._waiting(args, args.resource)
            props: Any = args.props
            if not args.type_.startswith("kubernetes:"):
                return None
            if args.type_.endswith("Patch"):
                if spec := props["spec"]:
                    self._patches.append((props["api_version"], props["kind"], args.resource, spec))
                return None
            self._objects.append((props["api_version"], props["kind"], args.resource))
            metadata = dict(props["metadata"])
            metadata["labels"] = {**metadata.get("labels", {}), OWNER: self.owner}
            metadata["annotations"] = {**metadata.get("annotations", {}), RESOURCE: args.name, **MANAGER}
            rule = pulumi.ResourceOptions(
                delete_before_replace=True, hooks=pulumi.ResourceHookBinding(before_create=[check])
            )
            opts = pulumi.ResourceOptions.merge(args.opts, rule)
            return pulumi.ResourceTransformationResult({**props, "metadata": metadata}, opts)

        return pulumi.ResourceOptions(transformations=[apply])

    async def missing(self) -> list[str]:
        """Return a line for each object, and each field of a patch, that the state has and the cluster lacks."""
        owner: str | None = await pulumi.Output.from_input(self.owner).future()
        objects = [self._missing(*described, owner) for described in self._objects]
        # A preview would tell of what `pulumi up --refresh` is about to set again.
        patches = [] if pulumi.runtime.is_dry_run() else [self._unset(*described) for described in self._patches]
        return [line for lines in await asyncio.gather(*objects, *patches) for line in lines]

    def check(self, wanted: Mapping[str, Any], key: str) -> None:
        """Raise NotOwned if the cluster has an object with these inputs' kind and name that is not the stack's own."""
        metadata = wanted["metadata"]
        kind, name, namespace = wanted["kind"], metadata.get("name"), metadata.get("namespace", "")
        if not isinstance(name, str) or not isinstance(namespace, str):
            return  # a name that is not known yet is a random one
        found = self.cluster.metadata(wanted["apiVersion"], kind, namespace, name)
        if found is None:
            return
        owner, resource = found.get("labels", {}).get(OWNER), found.get("annotations", {}).get(RESOURCE)
        if owner is None:
            whose = "no stack made it; remove it, or choose other names"
        elif owner != metadata["labels"][OWNER]:
            whose = "another stack made it; remove it, or choose other names"
        elif resource != metadata["annotations"][RESOURCE]:
            whose = f"it is {resource} of this stack: remove that by one `pulumi up`, and add this by the next"
        else:
            return
        what = f"cluster {self.cluster.host} has {called(kind, namespace, name)} already"
        raise NotOwned(f"kyma-mtls:{key}: {what}, and {whose}")

    def _hook(self, key: str, to_be_released: Collection[str]) -> pulumi.ResourceHook:
        async def is_free(args: pulumi.ResourceHookArgs) -> None:
            wanted = args.new_inputs or {}
            name, namespace = wanted["metadata"].get("name"), wanted["metadata"].get("namespace", "")
            if not (pulumi.runtime.is_dry_run() and called(wanted["kind"], namespace, name) in to_be_released):
                await self._aside(self.check, wanted, key)

        name = f"{self.name}-{key}-has-no-other"
        if name not in self._hooks:
            options = pulumi.ResourceHookOptions(on_dry_run=True)
            self._hooks[name] = pulumi.ResourceHook(name, is_free, options)
        return self._hooks[name]

    def _waiting(self, args: pulumi.ResourceTransformationArgs, ready: Ready) -> pulumi.ResourceTransformationResult:
        async def until_ready(made: pulumi.ResourceHookArgs) -> None:
            await ready.wait.until_ready(self.cluster, (made.new_inputs or {})["input"], self._aside)

        hook = pulumi.ResourceHook(f"{self.name}-{args.name}", until_ready)
        hooks = pulumi.ResourceHookBinding(before_create=[hook], before_update=[hook])
        opts = pulumi.ResourceOptions.merge(args.opts, pulumi.ResourceOptions(hooks=hooks))
        return pulumi.ResourceTransformationResult(args.props, opts)

    async def _missing(self, api_version: str, kind: str, resource: Any, owner: str | None) -> list[str]:
        known: str | None = await resource.id.future()
        if not known:
            return []
        namespace, _, name = known.rpartition("/")
        what, host = called(kind, namespace, name), self.cluster.host
        found = await self._aside(self.cluster.metadata, api_version, kind, namespace, name)
        if not found:
            return [f"cluster {host} has no {what}, which this stack made"]
        marked = found.get("labels", {}).get(OWNER)
        if not owner or marked == owner:
            return []
        whose = "another stack made it; " if marked else f"it has no label {OWNER}={owner}; set that, or "
        return [f"cluster {host}: {what} is no longer this stack's: {whose}remove it"]

    async def _unset(self, api_version: str, kind: str, resource: Any, spec: pulumi.Input[Any]) -> list[str]:
        known: str | None = await resource.id.future()
        wanted = await pulumi.Output.from_input(spec).future() or {}
        had = await resource.spec.future()
        if not known or any(_lacking(wanted, had)):  # where `pulumi refresh` came before a destroy, it is known
            return []
        namespace, _, name = known.rpartition("/")
        found = await self._aside(self.cluster.find, api_version, kind, namespace, name)
        what = f"cluster {self.cluster.host}: {called(kind, namespace, name)}"
        lacking = _lacking(wanted, (found or {}).get("spec"))
        return [f"{what} no longer has {each}, which this stack set" for each in lacking]

    def _aside(self, ask: Callable[..., _Answer], *args: object) -> Awaitable[_Answer]:
        # The event loop's own threads may all be waiting for the engine, which waits for a hook.
        return asyncio.get_running_loop().run_in_executor(self._threads, ask, *args)


def _lacking(wanted: Mapping[str, Any], found: Any, path: str = "spec") -> Iterator[str]:
    """Yield each wanted field, PATH: VALUE, that is not there or has another value."""
    for name, value in wanted.items():
        there = found.get(name) if isinstance(found, Mapping) else None
        if isinstance(value, Mapping):
            yield from _lacking(value, there, f"{path}.{name}")
        elif there != value:
            yield f"{path}.{name}: {json.dumps(value)}"
