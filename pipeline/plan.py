"""What an update is going to do, read from the plan that a preview saves."""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from settings import ConfigError

_REPLACES = {"replace", "create-replacement", "delete-replaced"}
_CHANGES = ("create", "update", "delete")
_DIGITS = 12


@dataclass(frozen=True, order=True)
class Operation:
    """What becomes of a resource.

    kind: create, update, replace or delete
    changed: the inputs that are others than before
    """

    urn: str
    kind: str
    changed: frozenset[str] = field(default=frozenset(), compare=False)

    @property
    def type(self) -> str:
        """The type of the resource, without those of its parents."""
        return self.urn.split("::")[2].rpartition("$")[2]

    @property
    def name(self) -> str:
        """The name of the resource."""
        return self.urn.split("::", 3)[3]

    @property
    def digest(self) -> str:
        """A short hash, by which a comment can remember it."""
        return hashlib.sha256(f"{self.kind} {self.urn}".encode()).hexdigest()[:_DIGITS]

    @property
    def is_credential(self) -> bool:
        """Whether nothing but the credentials change by which a cluster is reached."""
        return self.type.startswith("pulumi:providers:") and self.kind == "update" and self.changed <= {"kubeconfig"}

    @property
    def is_internal(self) -> bool:
        """Whether it concerns a default provider, of which the engine itself says nothing either."""
        return self.type.startswith("pulumi:providers:") and self.name.startswith("default")

    def __str__(self) -> str:
        return f"{self.kind} {self.type.rpartition(':')[2]} {self.name}"


@dataclass(frozen=True)
class Plan:
    """The operations of a plan, and which resources depend on the outputs of which, changed or not."""

    operations: tuple[Operation, ...]
    dependencies: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @classmethod
    def read(cls, file: Path) -> Self:
        """Read the file that `pulumi preview --save-plan` writes; raise ConfigError if it is another one."""
        try:
            plans: dict[str, Any] = json.loads(file.read_text()).get("resourcePlans") or {}
        except (ValueError, AttributeError):
            raise ConfigError(f"{file}: not a plan that a preview saved") from None
        found = (_operation(urn, plan) for urn, plan in plans.items())
        return cls(
            tuple(sorted(each for each in found if each.kind and not each.is_internal)),
            {urn: frozenset((plan.get("goal") or {}).get("dependencies") or ()) for urn, plan in plans.items()},
        )

    def of(self, *kinds: str) -> list[Operation]:
        """Return the operations of these kinds."""
        return [each for each in self.operations if each.kind in kinds]

    def depends(self, urn: str, sources: Collection[str]) -> bool:
        """Tell whether a resource depends on one of others, be it by way of more."""
        needed = self.dependencies.get(urn, frozenset())
        return any(each in sources or self.depends(each, sources) for each in needed)

    @property
    def summary(self) -> str:
        """How many operations of each kind there are."""
        counts = {kind: len(self.of(kind)) for kind in ("create", "update", "replace", "delete")}
        return ", ".join(f"{count} to {kind}" for kind, count in counts.items() if count) or "no changes"


def _operation(urn: str, plan: dict[str, Any]) -> Operation:
    changes = (plan.get("goal") or {}).get("inputDiff") or {}
    changed = {key for part in ("adds", "updates") for key in changes.get(part) or ()} | {
        *(changes.get("deletes") or ())
    }
    return Operation(urn, _kind(plan), frozenset(changed))


def _kind(plan: dict[str, Any]) -> str:
    """Return what the steps of a resource amount to; empty for none."""
    steps = set(plan.get("steps") or ())
    if steps & _REPLACES or {"create", "delete"} <= steps:
        return "replace"
    return next((kind for kind in _CHANGES if kind in steps), "")
