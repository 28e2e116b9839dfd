"""The issue of a stack whose renewal of certificates fails."""

from pathlib import Path

from pipeline import this_run
from pipeline.comment import fenced
from pipeline.forge import Forge


def report(forge: Forge, stack: str, problems: Path | None) -> str:
    """Open the stack's issue, or edit the open one; return its URL.

    problems: the file to which the renewal wrote its problems
    """
    text = problems.read_text() if problems and problems.is_file() else "The run ended without a message."
    body = f"{_marker(stack)}\n{fenced(text)}\n\n{_run()}The next successful run closes this issue."
    if found := forge.issue(_marker(stack)):
        forge.edit_issue(found, body)
        return found.url
    return forge.open_issue(f"Stack {stack}: the renewal fails", body).url


def close(forge: Forge, stack: str) -> str:
    """Close the stack's issue if one is open; return its URL, or a message that there is none."""
    if found := forge.issue(_marker(stack)):
        forge.close_issue(found)
        return found.url
    return f"{stack} has no open issue"


def _marker(stack: str) -> str:
    return f"<!-- kyma-mtls renewal of {stack} -->"


def _run() -> str:
    """Return a link to the running job; an empty text outside of one."""
    return f"[The run]({url}) has the log. " if (url := this_run.url()) else ""
