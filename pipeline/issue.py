"""Issues that report problems of the nightly runs: one for each stack, and one for nights without a success.

A problem is an item of the issue's task list. A forge notifies nobody of an edit, so a problem that the list does not
have yet is a comment, too; one that is gone is ticked off.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from pipeline import this_run
from pipeline.connections import code
from pipeline.forge import Forge

PATIENCE = timedelta(hours=30)
"""The longest time between two successful nights: a day, and the hours by which a schedule may be delayed."""
MOST_PROBLEMS = 100
MOST_SOLVED = 50
LONGEST_PROBLEM = 300
"""In characters. With MOST_PROBLEMS and MOST_SOLVED, an issue is never too long for GitHub."""
NO_MESSAGE = "the run ended before it could say why: its setup failed, or it was cancelled; its log has the step"

_ITEM = re.compile(r"^ *- \[(?P<done>[ x])\] (?P<text>`.*`)$", re.MULTILINE)


@dataclass(frozen=True)
class Topic:
    """What an issue is about: the first line of its text, which identifies it, and its title."""

    marker: str
    title: str


NIGHTS = Topic("<!-- kyma-mtls nights -->", "No nightly run has succeeded for more than a day")


def of_stack(stack: str) -> Topic:
    """Return the topic of a stack's issue."""
    return Topic(f"<!-- kyma-mtls renewal of {stack} -->", f"Stack {stack}: the nightly run has problems")


def problems_in(file: Path | None) -> list[str]:
    """Return the problems that a renewal wrote to a file, a line each; that it wrote none is a problem, too."""
    return file.read_text().splitlines() if file and file.is_file() else [NO_MESSAGE]


def put(forge: Forge, topic: Topic, problems: Sequence[str]) -> str:
    """Report the problems in the issue, or close it if there are none; return its URL, or a message.

    Open the issue if none is open. Comment on an open one if it does not list a problem, or lists it as solved.
    """
    found, listed = forge.issue(topic.marker), _listed(problems)
    if not found:
        if not listed:
            return f"no issue is open: {topic.title}"
        return forge.open_issue(topic.title, _body(topic, listed, ())).url
    is_open = {item["text"]: item["done"] == " " for item in _ITEM.finditer(found.body)}
    if new := [text for text in listed if not is_open.get(text)]:
        forge.comment_on_issue(found, "\n".join(["New:", "", *(f"- {text}" for text in new), "", _run()]))
    forge.edit_issue(found, _body(topic, listed, [text for text in is_open if text not in listed]))
    if not listed:
        forge.close_issue(found)
    return found.url


def watch(forge: Forge, now: datetime) -> str:
    """Report in the issue about the nights if none has succeeded for longer than PATIENCE, else close it."""
    last = forge.last_night()
    if last and now - last < PATIENCE:
        return put(forge, NIGHTS, ())
    since = f"since {last:%Y-%m-%d %H:%M} UTC" if last else "yet"
    remedy = "see its runs, and enable it if its schedule is disabled; docs/pipeline.md says how"
    return put(forge, NIGHTS, [f"no nightly run has succeeded {since}: {remedy}"])


def _listed(problems: Sequence[str]) -> list[str]:
    """Return the problems as inline code, each once, at most MOST_PROBLEMS."""
    return list(dict.fromkeys(code(each[:LONGEST_PROBLEM]) for each in problems if each.strip()))[:MOST_PROBLEMS]


def _body(topic: Topic, listed: Iterable[str], solved: Sequence[str]) -> str:
    items = [f"- [ ] {text}" for text in listed] + [f"- [x] {text}" for text in solved[-MOST_SOLVED:]]
    closing = f"At most {MOST_PROBLEMS} problems are listed. {_run()}The next run without a problem closes this issue."
    return "\n".join([topic.marker, *items, "", closing])


def _run() -> str:
    """Return a link to the running job; an empty text outside of one."""
    return f"[The run]({url}) has the log. " if (url := this_run.url()) else ""
