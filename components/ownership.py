"""Ownership of objects: each object of a stack has the stack's mark, a label whose value no two stacks share."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

OWNER_LABEL = "kyma-mtls/owner"
RESOURCE_ANNOTATION = "kyma-mtls/resource"
FIELD_MANAGER = "kyma-mtls"


class Ownership(Enum):
    """Who made an object, by its label."""

    OWN = auto()
    ANOTHER_STACK = auto()
    NO_STACK = auto()


@dataclass(frozen=True)
class Owner:
    """A stack, as the objects in its clusters know it.

    mark: value of the label kyma-mtls/owner; None for a stack that has deployed nothing yet
    """

    mark: str | None

    def ownership(self, metadata: Mapping[str, Any]) -> Ownership:
        """Return who made the object with this metadata."""
        mark = owner_mark(metadata)
        if mark is None:
            return Ownership.NO_STACK
        return Ownership.OWN if mark == self.mark else Ownership.ANOTHER_STACK

    def owns(self, metadata: Mapping[str, Any]) -> bool:
        """Return whether this stack made the object with this metadata."""
        return self.ownership(metadata) is Ownership.OWN


def owner_mark(metadata: Mapping[str, Any]) -> str | None:
    """Return the mark of the stack that made an object; None if no stack made it."""
    mark = (metadata.get("labels") or {}).get(OWNER_LABEL)
    return None if mark is None else str(mark)


def is_owned(metadata: Mapping[str, Any]) -> bool:
    """Return whether any stack of this program made the object with this metadata."""
    return owner_mark(metadata) is not None
