"""The stacks that the pipeline deploys, and those that a change affects."""

import subprocess
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from pipeline import policies, stack_file
from settings import ConfigError

PROGRAM = (
    "__main__.py",
    "Pulumi.yaml",
    "requirements.txt",
    *(f"{name}/" for name in ("clusters", "components", "deployment", "outputs", "proxies", "settings")),
)
"""The files and folders that every deployment runs."""


def deployed() -> list[str]:
    """Return the stacks that the pipeline deploys; print the reason for each stack that is left out to stderr.

    A kubeconfig that a stack's file names exists on one machine only. The pipeline takes kubeconfigs from secrets of
    GitHub environments, in which stacks name contexts.
    """
    found = []
    for path in sorted(Path().glob("Pulumi.*.yaml")):
        if not (name := stack_file.NAME.fullmatch(path.name)):
            continue
        try:
            local = stack_file.local_kubeconfigs(path)
        except ConfigError:
            local = []  # its preview reports the error
        if local:
            print(
                f"{name[1]}: left out: its file names kubeconfigs of one machine: {', '.join(local)}", file=sys.stderr
            )
        else:
            found.append(name[1])
    return sorted(found)


def affected(since: str) -> list[str]:
    """Return the stacks whose file, program or policies differ from a revision; all if there is no such revision."""
    stacks, changed = deployed(), _changed(since)
    if changed is None or any(path.startswith(PROGRAM) for path in changed):
        return stacks
    return [stack for stack in stacks if _concern(stack, changed)]


def _concern(stack: str, changed: Collection[str]) -> bool:
    """Return whether one of these changed files is the stack's, one that it names, or one of its policies."""
    return stack_file.path_of(stack) in changed or _names_one_of(stack, changed) or policies.concern(stack, changed)


def gitlab_pipeline(jobs: Sequence[str], stacks: Sequence[str]) -> dict[str, Any]:
    """Return a GitLab pipeline that runs these jobs for each stack, in their variable STACK.

    jobs: their names; the included job of each name with a dot before it says what it does
    """
    if not stacks:
        return {"no stack": {"script": ["true"]}}  # GitLab refuses a pipeline without a job
    return {job: {"extends": f".{job}", "parallel": {"matrix": [{"STACK": [*stacks]}]}} for job in jobs}


def _names_one_of(stack: str, paths: Collection[str]) -> bool:
    """Return whether a stack's file names one of these files as file:PATH."""
    text = Path(stack_file.path_of(stack)).read_text()
    return any(f"file:{path}" in text for path in paths if path)


def file_at(revision: str, stack: str) -> str | None:
    """Return the text of a stack's file in a revision; None if the revision has no such file."""
    done = _git("show", "--end-of-options", f"{revision}:./{stack_file.path_of(stack)}")
    return done.stdout if done.returncode == 0 else None


def is_behind(revision: str) -> bool:
    """Return whether the checked-out commit is in the history of a revision."""
    done = _git("rev-list", "--max-count=1", "--ancestry-path", "--end-of-options", f"HEAD..{revision}", "--")
    return done.returncode == 0 and bool(done.stdout)


def merges(since: str, commit: str) -> list[str]:
    """Return a commit and those before it on its branch, down to a revision; only the commit if that is not known.

    A push of GitHub's merge queue merges several pull requests, each by a commit of its own or more.
    """
    done = _git("rev-list", "--first-parent", "--end-of-options", f"{since}..{commit}", "--") if since else None
    return done.stdout.split() if done and done.returncode == 0 and done.stdout else [commit]


def _changed(since: str) -> Collection[str] | None:
    # A diff of the two trees, without their merge base: the merged tree runs.
    done = _git("diff", "--name-only", "--relative", "-z", "--end-of-options", since, "HEAD", "--")
    return done.stdout.split("\0") if done.returncode == 0 else None


def _git(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
