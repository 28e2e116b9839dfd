"""The one rule for the life of a stack's Kubernetes objects.

An object that is created under a name of its own choosing is taken over if it is there already (server-side apply), and
what is deleted goes by name. Hence, for every object of a stack:

- it bears the label kyma-mtls/owner, whose value no two stacks share;
- it is created only where no such object is, or where the stack's own was left behind by an update that was killed;
- it is deleted before it is replaced, so that no later deletion by name meets the new one;
- it has to be in its cluster when the program ends, else `pulumi up` would call a deployment whole that is not; and
  what bears the label, but is not in the program, is told: an update that was killed may have left it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import pulumi

OWNER = "kyma-mtls/owner"

_AT_ONCE = 8
_Answer = TypeVar("_Answer")


class ClusterReader(Protocol):
    """What the rule asks of a cluster."""

    @property
    def host(self) -> str:
        """The URL of its API server."""

    def metadata(self, api_version: str, kind: str, namespace: str, name: str) -> dict[str, Any] | None:
        """Return the metadata of an object; None if there is none."""

    def labelled(self, api_version: str, kind: str, label: str) -> list[dict[str, Any]]:
        """Return the metadata of every object of a kind that bears a label NAME=VALUE."""


class Foreign(Exception):  # noqa: N818 - the engine shows the text alone
    """An object that the stack would create is somebody else's."""


@dataclass
class Lifecycle:
    """The rule for the objects of one cluster.

    name: tells the clusters of a stack apart
    owner: the stack's mark; known in previews once the stack has been deployed
    cluster: is asked for what is there
    key: the config key by which other names are chosen, for errors
    """

    name: str
    owner: pulumi.Input[str]
    cluster: ClusterReader
    key: str = "namespace"
    _objects: list[tuple[str, str, Any]] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self._threads = ThreadPoolExecutor(_AT_ONCE)
        self._preview_too = self._hook("", on_dry_run=True)
        self._up_only = self._hook("-later", on_dry_run=False)

    def options(self, *, vacated: bool = False) -> pulumi.ResourceOptions:
        """Return options for a component, which put every object below it under the rule.

        vacated: names that somebody else has at preview may be free when the objects are created
        """
        check = self._up_only if vacated else self._preview_too

        def apply(args: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult | None:
            if not _is_object(args):
                return None
            if args.type_.endswith("Patch"):
                return None
            props: Any = args.props
            self._objects.append((props["api_version"], props["kind"], args.resource))
            metadata = dict(props["metadata"])
            metadata["labels"] = {**metadata.get("labels", {}), OWNER: self.owner}
            others = (args.opts.hooks and args.opts.hooks.before_create) or []
            hooks = pulumi.ResourceHookBinding(before_create=[*others, check])
            if args.opts.hooks:
                hooks.before_delete, hooks.on_error = args.opts.hooks.before_delete, args.opts.hooks.on_error
            opts = pulumi.ResourceOptions.merge(args.opts, pulumi.ResourceOptions(delete_before_replace=True))
            opts.hooks = hooks
            return pulumi.ResourceTransformationResult({**props, "metadata": metadata}, opts)

        return pulumi.ResourceOptions(transformations=[apply])

    async def missing(self) -> list[str]:
        """Return a line for each object that the state has and the cluster lacks."""
        lines = await asyncio.gather(*(self._missing(*described) for described in self._objects))
        return [line for line in lines if line]

    async def strays(self) -> list[str]:
        """Return a line for each object of the stack that the cluster has and the program does not know."""
        owner = await pulumi.Output.from_input(self.owner).future()
        ids = [await resource.id.future() for _, _, resource in self._objects]
        if not owner or not all(ids):
            return []  # what is not made yet cannot be told from what is left
        known = {(kind, name) for (_, kind, _), name in zip(self._objects, ids, strict=True)}
        label = f"{OWNER}={owner}"
        lines = []
        for api_version, kind in sorted({(api_version, kind) for api_version, kind, _ in self._objects}):
            for found in await self._aside(self.cluster.labelled, api_version, kind, label):
                namespace, name = found.get("namespace", ""), found["name"]
                if (kind, f"{namespace}/{name}" if namespace else name) not in known:
                    lines.append(self._stray(kind, namespace, name))
        return lines

    def check(self, wanted: Mapping[str, Any]) -> None:
        """Raise Foreign if the cluster has an object with these inputs' kind and name that is not the stack's own."""
        metadata = wanted["metadata"]
        kind, name, namespace = wanted["kind"], metadata.get("name"), metadata.get("namespace", "")
        if not isinstance(name, str) or not isinstance(namespace, str):
            return  # a name that is not known yet is a random one
        found = self.cluster.metadata(wanted["apiVersion"], kind, namespace, name)
        if found is None or found.get("labels", {}).get(OWNER) == metadata["labels"][OWNER]:
            return
        whose = "another stack made it" if OWNER in found.get("labels", {}) else "no stack made it"
        raise Foreign(
            f"kyma-mtls:{self.key}: cluster {self.cluster.host} has {_called(kind, namespace, name)} already, and "
            f"{whose}; remove it, or choose other names"
        )

    def _hook(self, ending: str, *, on_dry_run: bool) -> pulumi.ResourceHook:
        async def is_free(args: pulumi.ResourceHookArgs) -> None:
            await self._aside(self.check, args.new_inputs or {})

        name = f"{self.name}-has-no-other{ending}"
        return pulumi.ResourceHook(name, is_free, pulumi.ResourceHookOptions(on_dry_run=on_dry_run))

    async def _missing(self, api_version: str, kind: str, resource: Any) -> str | None:
        known: str | None = await resource.id.future()
        if not known:
            return None
        namespace, _, name = known.rpartition("/")
        if await self._aside(self.cluster.metadata, api_version, kind, namespace, name):
            return None
        return f"cluster {self.cluster.host} has no {_called(kind, namespace, name)}, which this stack made"

    def _stray(self, kind: str, namespace: str, name: str) -> str:
        scope = f" -n {namespace}" if namespace else ""
        return (
            f"cluster {self.cluster.host} has {_called(kind, namespace, name)}, which an interrupted update of this "
            f"stack left; `kubectl{scope} delete {kind.lower()} {name}` removes it"
        )

    def _aside(self, ask: Callable[..., _Answer], *args: object) -> Awaitable[_Answer]:
        # The event loop's own threads may all be waiting for the engine, which waits for a hook.
        return asyncio.get_running_loop().run_in_executor(self._threads, ask, *args)


def _is_object(args: pulumi.ResourceTransformationArgs) -> bool:
    return args.type_.startswith("kubernetes:") and not args.opts.id


def _called(kind: str, namespace: str, name: str) -> str:
    return f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"
