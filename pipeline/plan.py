"""The operations of an update, read from the plan that a preview saves."""

import hashlib
import json
from base64 import b64encode
from collections.abc import Collection, Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from settings import ConfigError
from verification.state import is_secret

_REPLACES = {"replace", "create-replacement", "delete-replaced"}
_CHANGES = ("create", "update", "delete")
_STAYS = {"same", "read", "refresh", "remove-pending-replace"}
_KNOWN = {*_REPLACES, *_CHANGES, *_STAYS}
DIGEST = 8
"""The characters of a digest, six bits each: 5,000 of them fit into a comment, with room for all else."""


@dataclass(frozen=True, order=True)
class Operation:
    """An operation on a resource.

    kind: create, update, replace or delete
    values: the changed inputs with their new values; None for one that is removed
    """

    urn: str
    kind: str
    values: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @property
    def changed(self) -> Set[str]:
        """The names of the changed inputs."""
        return self.values.keys()

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
        """A short hash by which a comment records the operation, without secrets: their ciphertext always differs."""
        left_out = {"kubeconfig"} if self.is_provider else set()
        values = {key: _public(value) for key, value in self.values.items() if key not in left_out}
        text = json.dumps([self.kind, self.urn, values], sort_keys=True)
        return b64encode(hashlib.sha256(text.encode()).digest())[:DIGEST].decode()

    @property
    def is_provider(self) -> bool:
        """Whether the resource is a provider."""
        return self.type.startswith("pulumi:providers:")

    @property
    def is_credential(self) -> bool:
        """Whether only the credentials of a cluster's provider change."""
        return self.is_provider and self.kind == "update" and self.changed <= {"kubeconfig"}

    @property
    def is_internal(self) -> bool:
        """Whether the resource is a default provider, which the engine does not show either."""
        return self.is_provider and self.name.startswith("default")

    def __str__(self) -> str:
        return f"{self.kind} {self.type.rpartition(':')[2]} {self.name}"


@dataclass(frozen=True)
class Plan:
    """A plan.

    operations: those that change anything; other credentials are no change
    dependencies: of every resource, changed or not: the resources whose outputs it uses
    """

    operations: tuple[Operation, ...]
    dependencies: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @classmethod
    def read(cls, file: Path) -> Self:
        """Read the file that `pulumi preview --save-plan` writes; raise ConfigError if it is no such file."""
        try:
            plans: dict[str, Any] = json.loads(file.read_text()).get("resourcePlans") or {}
        except (ValueError, AttributeError):
            raise ConfigError(f"{file}: not a plan that a preview saved") from None
        found = (_operation(urn, plan) for urn, plan in plans.items())
        return cls(
            tuple(sorted(each for each in found if each.kind and not (each.is_internal or each.is_credential))),
            {urn: frozenset((plan.get("goal") or {}).get("dependencies") or ()) for urn, plan in plans.items()},
        )

    @property
    def digests(self) -> str:
        """The digests of all operations, one behind the other, as a comment has them."""
        return "".join(each.digest for each in self.operations)

    def of(self, *kinds: str) -> list[Operation]:
        """Return the operations of these kinds."""
        return [each for each in self.operations if each.kind in kinds]

    def depends(self, urn: str, sources: Collection[str]) -> bool:
        """Return whether a resource depends on one of the sources, directly or indirectly."""
        needed, found = [urn], set[str]()
        while needed:
            further = self.dependencies.get(needed.pop(), frozenset()) - found
            found |= further
            needed += further
        return not found.isdisjoint(sources)

    @property
    def summary(self) -> str:
        """The number of operations of each kind."""
        counts = {kind: len(self.of(kind)) for kind in ("create", "update", "replace", "delete")}
        return ", ".join(f"{count} to {kind}" for kind, count in counts.items() if count) or "no changes"


def _operation(urn: str, plan: dict[str, Any]) -> Operation:
    changes = (plan.get("goal") or {}).get("inputDiff") or {}
    gone: dict[str, Any] = dict.fromkeys(changes.get("deletes") or ())
    return Operation(urn, _kind(urn, plan), gone | (changes.get("adds") or {}) | (changes.get("updates") or {}))


def _public(value: Any) -> Any:
    """Return a value without the ciphertext of its secrets, which differs in each run."""
    if is_secret(value):
        return "secret"
    if isinstance(value, dict):
        return {key: _public(each) for key, each in value.items()}
    return [_public(each) for each in value] if isinstance(value, list) else value


def _kind(urn: str, plan: dict[str, Any]) -> str:
    """Return the kind of operation of a resource's steps, empty for none; raise ConfigError for an unknown step."""
    steps = set(plan.get("steps") or ())
    if unknown := steps - _KNOWN:
        raise ConfigError(f"{urn}: the pipeline does not know the step {min(unknown)}; deploy the stack by `pulumi up`")
    if steps == {"delete-replaced", "remove-pending-replace"}:  # it goes with what it depends on, which is replaced
        return "delete"
    if steps & _REPLACES or {"create", "delete"} <= steps:
        return "replace"
    return next((kind for kind in _CHANGES if kind in steps), "")
