"""Drift: objects and fields that the stack's state has, and its clusters have no longer."""

from collections.abc import Iterable

from components.lifecycle import Lifecycle
from settings import ConfigError

_REMEDY = (
    "`pulumi up --refresh` makes deleted objects anew, and sets changed fields again; before a destroy, `pulumi "
    "refresh` removes them from the state"
)


async def find(lifecycles: Iterable[Lifecycle]) -> list[str]:
    """Return a line for each object, or field, that a cluster has no longer, and a last one that names the remedy.

    The line for a cluster that does not answer says so; such lines come first.
    """
    missing: list[str] = []
    unanswered: list[str] = []
    for lifecycle in lifecycles:
        try:
            missing += await lifecycle.missing()
        except ConfigError as error:
            unanswered.append(str(error))
    return [*unanswered, *missing, *([_REMEDY] if missing else [])]
