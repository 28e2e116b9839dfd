"""The one rule for the life of a stack's Kubernetes objects.

The Kubernetes provider creates by server-side apply; from 4.29 on, only with its argument `upsertExistingObjects`
(deployment/managed_site.py). That takes over an object of the same name that the cluster has already, and deletes by
name
(https://www.pulumi.com/registry/packages/kubernetes/how-to-guides/managing-resources-with-server-side-apply/).
Hence, for every object of a stack:

- it has the label kyma-mtls/owner, whose value no two stacks share, and an annotation with the name of its resource;
- it is created only where the cluster has no such object, or has one that the same resource left in a killed update;
- it has one field manager, so that an update may change what an earlier, killed one created, and take back what others
  changed;
- it is deleted before it is replaced, so that no later deletion by name meets the new one;
- it must be in its cluster, still be the stack's own, and have the fields that the stack applied, when the program
  ends (drift).

A wait for an object (Ready) asks the cluster that has the object.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi
from pulumi.output import Unknown

from .drift import APPLIED, Inventory
from .ownership import FIELD_MANAGER, OWNER_LABEL, RESOURCE_ANNOTATION, Owner, owner_mark
from .readiness import ClusterReader, Ready, called
from .threads import Threads

# Without the first, the Kubernetes provider chooses a new field manager for each creation. Without the second, an
# update does not take back a field that another manager has changed, but fails with a conflict
# (https://www.pulumi.com/registry/packages/kubernetes/how-to-guides/managing-resources-with-server-side-apply/).
MANAGER = {"pulumi.com/patchFieldManager": FIELD_MANAGER, "pulumi.com/patchForce": "true"}


class NotOwned(Exception):  # noqa: N818 - the engine shows the text alone
    """The cluster has an object of this name already, and the resource that would create it did not make it."""


@dataclass
class Lifecycle:
    """The rule for the objects of one cluster.

    name: identifies the cluster within the stack
    owner: the stack's mark; known in previews once the stack has been deployed
    cluster: the cluster, from which objects are read
    """

    name: str
    owner: pulumi.Input[str]
    cluster: ClusterReader
    _hooks: dict[str, pulumi.ResourceHook] = field(default_factory=dict, init=False)
    _made: list[tuple[pulumi.Resource | None, Any]] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self._run_in_thread = Threads().run
        self._inventory = Inventory(self.cluster, self._run_in_thread)
        self._observer: pulumi.ResourceHook | None = None

    def options(self, key: str, *, to_be_released: Collection[str] = ()) -> pulumi.ResourceOptions:
        """Return options for a component, which put every object below it under the rule.

        key: of the config, by which users change the names of these objects
        to_be_released: objects, each KIND NAMESPACE/NAME, that Kyma's operator still has during a preview, and deletes
            before the update creates the stack's own
        """
        check = self._hook(key, to_be_released)

        def apply(args: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult | None:
            if isinstance(args.resource, Ready):
                return self._waiting(args, args.resource)
            if not args.type_.startswith("kubernetes:"):
                return None
            props: Any = args.props
            if args.type_.endswith("Patch"):
                return self._patching(args, props)
            self._inventory.add(args.resource, props)
            self._made.append((args.opts.parent, args.resource))
            return self._marked(args, props, check)

        return pulumi.ResourceOptions(transformations=[apply])

    def made_by(self, component: pulumi.Resource) -> list[Any]:
        """Return the objects that a component has made, in the order of their creation."""
        return [made for parent, made in self._made if parent is component]

    async def drift(self) -> list[str]:
        """Return a line for each object, and each field, that the cluster does not have as the state has it."""
        return await self._inventory.drift(Owner(await pulumi.Output.from_input(self.owner).future()))

    def check(self, wanted: Mapping[str, Any], key: str) -> None:
        """Raise NotOwned if the cluster has an object of this kind and name that another resource or stack made.

        wanted: inputs of the object that is to be created
        key: of the config, which the error names
        """
        metadata = wanted["metadata"]
        kind, name, namespace = wanted["kind"], metadata.get("name"), metadata.get("namespace", "")
        if not isinstance(name, str) or not isinstance(namespace, str):
            return  # a name that is not known yet is a random one
        found = self.cluster.metadata(wanted["apiVersion"], kind, namespace, name)
        if found is None:
            return
        owner, resource = owner_mark(found), found.get("annotations", {}).get(RESOURCE_ANNOTATION)
        if owner is None:
            reason = "no stack made it; remove it, or choose other names"
        elif owner != metadata["labels"][OWNER_LABEL]:
            reason = "another stack made it; remove it, or choose other names"
        elif resource != metadata["annotations"][RESOURCE_ANNOTATION]:
            reason = f"it is {resource} of this stack: remove that by one `pulumi up`, and add this by the next"
        else:
            return
        has = f"cluster {self.cluster.host} has {called(kind, namespace, name)} already"
        raise NotOwned(f"kyma-mtls:{key}: {has}, and {reason}")

    def _hook(self, key: str, to_be_released: Collection[str]) -> pulumi.ResourceHook:
        async def is_free(args: pulumi.ResourceHookArgs) -> None:
            wanted = args.new_inputs or {}
            if isinstance(wanted["metadata"], Unknown):
                return  # a namespace that is not known yet is a random one
            name, namespace = wanted["metadata"].get("name"), wanted["metadata"].get("namespace", "")
            if not (pulumi.runtime.is_dry_run() and called(wanted["kind"], namespace, name) in to_be_released):
                await self._run_in_thread(self.check, wanted, key)

        name = f"{self.name}-{key}-has-no-other"
        if name not in self._hooks:
            options = pulumi.ResourceHookOptions(on_dry_run=True)
            self._hooks[name] = pulumi.ResourceHook(name, is_free, options)
        return self._hooks[name]

    def _marked(
        self, args: pulumi.ResourceTransformationArgs, props: Mapping[str, Any], check: pulumi.ResourceHook
    ) -> pulumi.ResourceTransformationResult:
        metadata = dict(props["metadata"])
        metadata["labels"] = {**metadata.get("labels", {}), OWNER_LABEL: self.owner}
        metadata["annotations"] = {**metadata.get("annotations", {}), RESOURCE_ANNOTATION: args.name, **MANAGER}
        hooks = pulumi.ResourceHookBinding(before_create=[check], before_update=[self._observed()])
        rule = pulumi.ResourceOptions(delete_before_replace=True, hooks=hooks)
        opts = pulumi.ResourceOptions.merge(args.opts, rule)
        # Of the outputs, Pulumi keeps those that are among the inputs; an input that is None is not sent.
        props = {**props, "metadata": _placed(metadata), APPLIED: None}
        return pulumi.ResourceTransformationResult(props, opts)

    def _patching(
        self, args: pulumi.ResourceTransformationArgs, props: Mapping[str, Any]
    ) -> pulumi.ResourceTransformationResult:
        self._inventory.add_patch(args.resource, props)
        hooks = pulumi.ResourceHookBinding(before_update=[self._observed()])
        opts = pulumi.ResourceOptions.merge(args.opts, pulumi.ResourceOptions(hooks=hooks))
        return pulumi.ResourceTransformationResult(args.props, opts)

    def _observed(self) -> pulumi.ResourceHook:
        """Return the hook that tells the inventory of each update: a preview compares an object as it was before."""

        def observe(args: pulumi.ResourceHookArgs) -> None:
            self._inventory.add_change(args.urn, args.old_inputs or {}, args.new_inputs or {})

        if not self._observer:
            options = pulumi.ResourceHookOptions(on_dry_run=True)
            self._observer = pulumi.ResourceHook(f"{self.name}-observed", observe, options)
        return self._observer

    def _waiting(self, args: pulumi.ResourceTransformationArgs, ready: Ready) -> pulumi.ResourceTransformationResult:
        async def until_ready(made: pulumi.ResourceHookArgs) -> None:
            await ready.wait.until_ready(self.cluster, (made.new_inputs or {})["input"], self._run_in_thread)

        ready.is_changing = self._inventory.is_changing
        hook = pulumi.ResourceHook(f"{self.name}-{args.name}", until_ready)
        hooks = pulumi.ResourceHookBinding(before_create=[hook], before_update=[hook])
        opts = pulumi.ResourceOptions.merge(args.opts, pulumi.ResourceOptions(hooks=hooks))
        return pulumi.ResourceTransformationResult(args.props, opts)


def _placed(metadata: dict[str, Any]) -> Any:
    """Return the metadata of an object, unknown in a preview that does not know the object's namespace.

    Of an unknown namespace, the provider would make that of the kubeconfig's context, and the update would violate its
    plan (https://github.com/pulumi/pulumi-kubernetes/blob/master/provider/pkg/provider/provider.go, Check).
    """
    namespace = metadata.get("namespace")
    if not pulumi.runtime.is_dry_run() or not isinstance(namespace, pulumi.Output):
        return metadata
    # It depends on what the update's metadata depends on: a plan refuses other dependencies, too.
    whole = pulumi.Output.from_input(metadata)

    async def value() -> Any:
        return metadata

    return pulumi.Output(whole.resources(), value(), namespace.is_known(), whole.is_secret())
