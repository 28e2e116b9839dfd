"""Policies, and the resources that they judge."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# The type of the root resource, whose outputs are the stack's outputs.
STACK = "pulumi:pulumi:Stack"

# A value that a preview does not know yet. It is true, unlike a missing value.
UNKNOWN: Any = object()

Config = Mapping[str, Any]


@dataclass(frozen=True)
class Resource:
    """A resource of a stack.

    type: its token, such as kubernetes:core/v1:ConfigMap
    urn: its name in messages
    properties: its inputs; for policies of the whole stack, its outputs
    provider: URN of its provider, which identifies the cluster; empty if it has none
    """

    type: str
    urn: str
    properties: Mapping[str, Any]
    provider: str = ""

    @property
    def kind(self) -> str:
        """GROUP/KIND of a Kubernetes object, or of the object that a Patch changes; empty for any other resource."""
        match self.type.split(":"):
            case ["kubernetes", version, kind]:
                return f"{version.partition('/')[0]}/{kind.removesuffix('Patch')}"
        return ""

    @property
    def is_patch(self) -> bool:
        """Whether it is a Patch of a Kubernetes object, in which fields may be set that the Patch does not set."""
        return bool(self.kind) and self.type.endswith("Patch")

    @property
    def spec(self) -> Mapping[str, Any]:
        """The spec of a Kubernetes object."""
        return structure(self.properties.get("spec"))


@dataclass(frozen=True)
class ResourcePolicy:
    """Judges each resource by itself, before the engine changes it.

    name: its name in config and reports
    requires: its requirement, in a sentence
    judge: yields a message for each violation
    config: the JSON schema of each setting, with its default
    """

    name: str
    requires: str
    judge: Callable[[Resource, Config], Iterator[str]]
    config: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class StackPolicy:
    """Judges all resources together, at the end of a preview or an update.

    judge: yields the URN of each resource in violation, and a message
    """

    name: str
    requires: str
    judge: Callable[[Sequence[Resource], Config], Iterator[tuple[str, str]]]
    config: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def structure(value: object) -> Mapping[str, Any]:
    """Return a structure; an empty one for a value that is missing, not known yet, or of a different type."""
    return value if isinstance(value, Mapping) else {}


def entries(value: object) -> Sequence[Any]:
    """Return a list; an empty one for a value that is missing, not known yet, or of a different type."""
    return value if isinstance(value, list) else []
