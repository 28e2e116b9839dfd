"""The comment on a pull request about a stack: who may call whom, what would be interrupted, and the diff."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeline import connections
from pipeline.engine import Run
from pipeline.plan import Operation, Plan
from pipeline.redaction import redacted
from pipeline.stack_file import StackFile
from settings import Settings

LONGEST = 65_536
"""The longest comment that GitHub accepts, in characters. The pipeline counts bytes, which are never fewer."""
LONGEST_PART = 12_000
MOST_OBJECTS = 50
_SHORT = 7

_OPERATIONS = re.compile(r"<!-- operations of ([0-9a-f]+): ([0-9a-f ]*) -->")
# Lines that describe no change: about half of the output, for which changes would be cut off.
_NOISE = re.compile(r"^( +\[(urn|provider)=.*\]|Update plan written to .*|Run `pulumi up --plan=.*)\n?", re.MULTILINE)
_SIGN = re.compile(r"^( +)([-+~])", re.MULTILINE)


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
    return frozenset(found[2].split()) if found and found[1] == head else None


def markdown(preview: Preview) -> str:
    """Return the comment, cut to the length that GitHub accepts."""
    at = f" at `{preview.head[:_SHORT]}`" if preview.head else ""
    shown = [f"## `{preview.stack}`{at}: {_outcome(preview)}", *_who(preview), *_interruptions(preview)]
    text = redacted("\n\n".join(["\n".join(_hidden(preview)), *shown, *_errors(preview)]))
    return text + _diff(redacted(preview.run.output), LONGEST - len(text.encode()))


def fenced(content: str, language: str = "") -> str:
    """Return a code block that nothing in its content can end."""
    longest = max((len(run) for run in re.findall("`+", content)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{content.rstrip()}\n{fence}"


def _hidden(preview: Preview) -> Iterable[str]:
    """Yield the lines that GitHub hides: the stack of the comment, and the digests of its operations and its commit."""
    yield marker(preview.stack)
    if preview.plan and preview.head:
        yield f"<!-- operations of {preview.head}: {' '.join(each.digest for each in preview.plan.operations)} -->"


def _outcome(preview: Preview) -> str:
    return preview.plan.summary if preview.plan else "the preview fails"


def _who(preview: Preview) -> Iterable[str]:
    yield "### Who may call whom"
    if isinstance(preview.after, str):
        yield f"The stack's file cannot be read:\n\n{fenced(preview.after)}"
        return
    before = preview.before if isinstance(preview.before, StackFile) else None
    if isinstance(preview.before, str):
        yield f"What is deployed cannot be read, so everything below counts as new:\n\n{fenced(preview.before)}"
    elif before is None:
        yield "The stack is new."
    if preview.unfinished:
        yield f"The {preview.unfinished} did not deploy the whole stack: parts of it may be deployed, too."
    old, new = before.settings if before else None, preview.after.settings
    if connections.pairs(old) == connections.pairs(new):
        yield "No client gains or loses access."
    if drawn := connections.picture(old, new):
        yield fenced(drawn, "mermaid")
    if changes := connections.sentences(before, preview.after):
        yield _list(changes)


def _interruptions(preview: Preview) -> Iterable[str]:
    yield "### What would be interrupted"
    parts = [fenced(_shortened("\n".join(preview.run.interruptions)))] if preview.run.interruptions else []
    before = preview.before.settings if isinstance(preview.before, StackFile) else None
    if before and isinstance(preview.after, StackFile) and _breaks_trust(before, preview.after.settings):
        parts.append("Trust in the old CA ends at once: requests may fail until both sides have the new certificates.")
    objects = _objects(preview.plan.of("delete", "replace")) if preview.plan else []
    if objects:
        parts.append(
            _list([f"{each.kind} {connections.code(f'{each.type} {each.name}')}" for each in objects[:MOST_OBJECTS]])
        )
    if len(objects) > MOST_OBJECTS:
        parts.append(f"… and {len(objects) - MOST_OBJECTS} more; the diff has all.")
    if parts:
        yield from parts
    else:
        yield (
            "Nothing: no object of a cluster is deleted or replaced."
            if preview.plan
            else "Unknown, as the preview fails."
        )


def _errors(preview: Preview) -> Iterable[str]:
    if preview.run.errors:
        yield "### Errors"
        yield fenced(_shortened("\n".join(preview.run.errors)))


def _diff(output: str, room: int) -> str:
    """Return the diff, folded, in at most `room` bytes."""
    text = _SIGN.sub(r"\2\1", _NOISE.sub("", output)).strip()  # GitHub colours a line by its first character
    opening, closing = "\n\n<details><summary>Diff</summary>\n\n", "\n\n</details>\n"
    if len((whole := f"{opening}{fenced(text, 'diff')}{closing}").encode()) <= room:
        return whole
    closing += "\nThe diff is too long for a comment and is cut here. The log of the run has all of it.\n"
    around = len(f"{opening}{fenced(text, 'diff')}{closing}".encode()) - len(text.encode())
    return f"{opening}{fenced(_beginning(text, room - around), 'diff')}{closing}"


def _beginning(text: str, most: int) -> str:
    """Return the first whole lines of a text, together at most this many bytes."""
    if len(text.encode()) <= most:
        return text
    return text.encode()[: max(0, most)].decode(errors="ignore").rpartition("\n")[0]


def _breaks_trust(before: Settings, after: Settings) -> bool:
    return before.generation != after.generation and not (
        after.generation in before.trusted_generations and before.generation in after.trusted_generations
    )


def _objects(operations: Sequence[Operation]) -> list[Operation]:
    return [each for each in operations if each.type.startswith("kubernetes:")]


def _list(lines: Iterable[str]) -> str:
    return _shortened("\n".join(f"- {line}" for line in lines))


def _shortened(text: str) -> str:
    kept = _beginning(text, LONGEST_PART)
    return text if kept == text else f"{kept}\n… and more; the log of the run has all of it."
