"""The comment on a pull request about a stack: who may call whom, what would be interrupted, and the diff."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from pipeline import connections, diff
from pipeline.engine import Run
from pipeline.parts import Part, Rank, block, bullets, fitted
from pipeline.plan import DIGEST, Plan
from pipeline.redaction import redacted
from pipeline.stack_file import StackFile

LONGEST = 65_536
"""The longest comment that GitHub accepts, in characters. The pipeline counts bytes, which are never fewer."""
MOST_OPERATIONS = 5_000
"""The most operations of which a comment holds the digests."""
MOST_OBJECTS = 50
_SHORT = 7

_OPERATIONS = re.compile(rf"<!-- operations of ([0-9a-f]+): ((?:[A-Za-z0-9+/]{{{DIGEST}}})*) -->")


@dataclass(frozen=True)
class Preview:
    """A preview of a stack.

    before: what is deployed of the stack, None for a new stack, or why it cannot be read
    after: the file of the stack with the change, or why it cannot be read
    plan: the plan that the preview saved; None if it failed
    head: the commit that is previewed; empty if it is not known
    unfinished: an update after the one that `before` has, which did not deploy the whole stack; empty for none
    """

    stack: str
    before: StackFile | str | None
    after: StackFile | str
    run: Run
    plan: Plan | None
    head: str = ""
    unfinished: str = ""


def marker(stack: str) -> str:
    """Return the first line of a stack's comment, which identifies it."""
    return f"<!-- kyma-mtls preview of {stack} -->"


def is_marker(line: str) -> bool:
    """Return whether a line is the first one of a stack's comment."""
    return re.fullmatch(re.escape(marker("STACK")).replace("STACK", r"[\w.-]+"), line) is not None


def previewed(body: str, head: str) -> frozenset[str] | None:
    """Return the digests of the operations in a comment; None if its commit differs, or if its preview failed."""
    second = "".join(body.splitlines()[1:2])  # any other line may quote the config or the engine
    found = _OPERATIONS.fullmatch(second)
    return frozenset(re.findall(f".{{{DIGEST}}}", found[2])) if found and found[1] == head else None


def markdown(preview: Preview) -> str:
    """Return the comment, cut to the length that GitHub accepts: less important parts are cut first."""
    hidden = "\n".join(_hidden(preview)) + "\n\n"
    parts = [replace(part, text=redacted(part.text)) for part in _parts(preview)]
    return hidden + fitted(parts, LONGEST - len(hidden.encode()) - 1) + "\n"


def _hidden(preview: Preview) -> Iterator[str]:
    """Yield the lines that GitHub hides: the stack of the comment, and the digests of its operations and its commit."""
    yield marker(preview.stack)
    if preview.plan and preview.head and len(preview.plan.operations) <= MOST_OPERATIONS:
        yield f"<!-- operations of {preview.head}: {preview.plan.digests} -->"


def _parts(preview: Preview) -> Iterator[Part]:
    at = f" at `{preview.head[:_SHORT]}`" if preview.head else ""
    yield Part(
        Rank.OUTCOME, f"## `{preview.stack}`{at}: {preview.plan.summary if preview.plan else 'the preview fails'}"
    )
    if preview.plan and len(preview.plan.operations) > MOST_OPERATIONS:
        yield Part(
            Rank.OUTCOME,
            f"A comment remembers {MOST_OPERATIONS:,} operations at most. Deploy these by hand once they are merged.",
        )
    yield from _who(preview)
    yield from _interruptions(preview)
    for heading, rank, messages in (
        ("Errors", Rank.ERROR, preview.run.errors),
        ("Warnings", Rank.WARNING, preview.run.warnings),
    ):
        if messages:
            yield Part(Rank.OUTCOME, f"### {heading}")
            yield block(rank, "\n".join(messages))
    shown = block(Rank.DIFF, diff.of(preview.run.output), "diff")
    opening, closing = "<details><summary>Diff</summary>\n\n", "\n\n</details>"
    yield replace(shown, opening=opening + shown.opening, closing=shown.closing + closing)


def _who(preview: Preview) -> Iterator[Part]:
    yield Part(Rank.OUTCOME, "### Who may call whom")
    if isinstance(preview.after, str):
        yield Part(Rank.OUTCOME, "The stack's file cannot be read:")
        yield block(Rank.ACCESS, preview.after)
        return
    before = preview.before if isinstance(preview.before, StackFile) else None
    if isinstance(preview.before, str):
        yield Part(Rank.OUTCOME, "What is deployed cannot be read, so everything below counts as new:")
        yield block(Rank.ACCESS, preview.before)
    elif before is None:
        yield Part(Rank.OUTCOME, "The stack is new.")
    if preview.unfinished:
        unfinished = f"The {preview.unfinished} did not deploy the whole stack: parts of it may be deployed, too."
        yield Part(Rank.OUTCOME, unfinished)
    old, new = before.settings if before else None, preview.after.settings
    if connections.pairs(old) == connections.pairs(new):
        yield Part(Rank.OUTCOME, "No client gains or loses access.")
    if drawn := connections.picture(old, new):
        yield replace(block(Rank.PICTURE, drawn, "mermaid"), is_whole=True)
    if changes := connections.sentences(before, preview.after):
        yield bullets(Rank.ACCESS, changes)


def _interruptions(preview: Preview) -> Iterator[Part]:
    yield Part(Rank.OUTCOME, "### What would be interrupted")
    refused, breaks_trust = preview.run.interruptions, _breaks_trust(preview)
    deleted = preview.plan.of("delete", "replace") if preview.plan else []
    objects = [each for each in deleted if each.type.startswith("kubernetes:")]
    if refused:
        yield block(Rank.INTERRUPTION, "\n".join(refused))
    if breaks_trust:
        yield Part(
            Rank.INTERRUPTION,
            "Trust in the old CA ends at once: requests may fail until both sides have the new certificates.",
        )
    if objects:
        shown = [f"{each.kind} {connections.code(f'{each.type} {each.name}')}" for each in objects[:MOST_OBJECTS]]
        yield bullets(Rank.OBJECTS, shown)
    if len(objects) > MOST_OBJECTS:
        yield Part(Rank.OBJECTS, f"… and {len(objects) - MOST_OBJECTS} more; the log of the run has all.")
    if not (refused or breaks_trust or objects):
        nothing = "Nothing: no object of a cluster is deleted or replaced."
        yield Part(Rank.INTERRUPTION, nothing if preview.plan else "Unknown, as the preview fails.")


def _breaks_trust(preview: Preview) -> bool:
    if not (isinstance(preview.before, StackFile) and isinstance(preview.after, StackFile)):
        return False
    before, after = preview.before.settings, preview.after.settings
    return before.generation != after.generation and not (
        after.generation in before.trusted_generations and before.generation in after.trusted_generations
    )
