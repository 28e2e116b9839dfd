"""What a policy is, and what it is given to judge."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# The type of the resource that stands for the whole stack; its outputs are the stack's.
STACK = "pulumi:pulumi:Stack"

# Stands for a value that a preview does not know yet. It is true, unlike a value that is missing.
UNKNOWN: Any = object()

Config = Mapping[str, Any]


@dataclass(frozen=True)
class Resource:
    """A resource of a stack.

    type: its token, such as kubernetes:core/v1:ConfigMap
    urn: by which messages name it
    properties: its inputs; its outputs, once all of the stack is judged
    provider: URN of its provider, which tells clusters apart; empty if it has none
    """

    type: str
    urn: str
    properties: Mapping[str, Any]
    provider: str = ""

    @property
    def kind(self) -> str:
        """GROUP/KIND of a Kubernetes object, whatever its version; empty for anything else."""
        match self.type.split(":"):
            case ["kubernetes", version, kind]:
                return f"{version.partition('/')[0]}/{kind}"
        return ""

    @property
    def spec(self) -> Mapping[str, Any]:
        """The spec of a Kubernetes object."""
        return structure(self.properties.get("spec"))


@dataclass(frozen=True)
class ResourcePolicy:
    """Judges each resource by itself, before anything is done to it.

    name: by which config and reports name it
    requires: what it requires, in a sentence
    judge: yields a line for each violation
    config: the JSON schema of each setting, with its default
    """

    name: str
    requires: str
    judge: Callable[[Resource, Config], Iterator[str]]
    config: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class StackPolicy:
    """Judges all resources together, at the end of a preview or an update.

    judge: yields the URN of the resource in violation, and a line that says how
    """

    name: str
    requires: str
    judge: Callable[[Sequence[Resource], Config], Iterator[tuple[str, str]]]
    config: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def structure(value: object) -> Mapping[str, Any]:
    """Return a structure; an empty one in place of what is missing, not known yet, or something else."""
    return value if isinstance(value, Mapping) else {}


def entries(value: object) -> Sequence[Any]:
    """Return a list; an empty one in place of what is missing, not known yet, or something else."""
    return value if isinstance(value, list) else []
