"""The issue of a stack whose renewal of certificates fails."""

import os
from pathlib import Path

from pipeline.github import Repository
from pipeline.parts import Rank, block


def report(repository: Repository, stack: str, problems: Path | None) -> str:
    """Open the stack's issue, or edit the open one; return its URL.

    problems: the file to which the renewal wrote its problems
    """
    text = problems.read_text() if problems and problems.is_file() else "The run ended without a message."
    body = f"{_marker(stack)}\n{block(Rank.ERROR, text).whole}\n\n{_run()}The next successful run closes this issue."
    return repository.open_issue(_marker(stack), f"Stack {stack}: the renewal fails", body)


def close(repository: Repository, stack: str) -> str:
    """Close the stack's issue if one is open; return its URL, or a message that there is none."""
    return repository.close_issue(_marker(stack)) or f"{stack} has no open issue"


def _marker(stack: str) -> str:
    return f"<!-- kyma-mtls renewal of {stack} -->"


def _run() -> str:
    """Return a link to the running workflow; an empty text outside of one."""
    server, repository, run = (os.environ.get(f"GITHUB_{name}") for name in ("SERVER_URL", "REPOSITORY", "RUN_ID"))
    return f"[The run]({server}/{repository}/actions/runs/{run}) has the log. " if server and run else ""
