"""A stack's file in comparison with what is deployed, by the updates that the backend remembers."""

from dataclasses import dataclass

from pipeline import engine, stack_file
from pipeline.stack_file import StackFile, Values
from settings import ConfigError

# Options of the engine by which it deploys a part of a stack, as it records them:
# https://github.com/pulumi/pulumi/blob/master/pkg/cmd/pulumi/metadata/metadata.go
_PARTIAL = {f"pulumi.flag.{option}" for option in ("target", "target-replace", "exclude", "exclude-protected")}


@dataclass(frozen=True)
class Comparison:
    """A stack's config before and after an update.

    before: what is deployed; None if nothing is, or why that cannot be read
    after: the stack's file, or why it cannot be read
    unfinished: the first later update, empty for none: it failed, is not at its end, or deployed a part of the stack
    """

    before: StackFile | str | None
    after: StackFile | str
    unfinished: str = ""


def of(stack: str) -> Comparison:
    """Compare the file of a stack with what is deployed."""
    try:
        after = StackFile.parse(stack_file.read(stack))
    except ConfigError as error:
        return Comparison(None, str(error))
    try:
        values, unfinished = _last(stack)
        before = StackFile.deployed(values, after.secrets) if values is not None else None
        if before and after.secrets:
            after = after.decrypted(engine.config(stack))
    except ConfigError as error:
        return Comparison(str(error), after)
    return Comparison(before, after, unfinished)


def _last(stack: str) -> tuple[Values | None, str]:
    """Return the config of the last update that deployed the whole stack, and the first update after it.

    The config is None if there was no such update, or if the stack was destroyed since.
    """
    later = ""
    for update in engine.updates(stack):
        if update["kind"] not in {"update", "destroy"}:
            continue
        if update["result"] == "succeeded" and not _PARTIAL & update["environment"].keys():
            return (update["config"] if update["kind"] == "update" else None), later
        later = f"{update['kind']} of {update['startTime']}"
    return None, later
