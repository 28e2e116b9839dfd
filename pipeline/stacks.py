"""Which stacks the pipeline deploys, and which of them a change concerns."""

import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

from pipeline import stack_file
from settings import ConfigError

PROGRAM = (
    "__main__.py",
    "Pulumi.yaml",
    "requirements.txt",
    *(f"{name}/" for name in ("clusters", "components", "deployment", "outputs", "settings")),
)
"""What every deployment runs."""


def deployed() -> list[str]:
    """Return the stacks that the pipeline deploys; say of each other one on stderr why it does not.

    A kubeconfig that a file names lies on one machine only. Here, kubeconfigs are secrets of GitHub environments, and
    stacks name contexts in them.
    """
    found = []
    for path in sorted(Path().glob("Pulumi.*.yaml")):
        if not (name := stack_file.NAME.fullmatch(path.name)):
            continue
        try:
            local = stack_file.local_kubeconfigs(path)
        except ConfigError:
            local = []  # its preview says what is wrong
        if local:
            print(
                f"{name[1]}: left out, since it names kubeconfigs of one machine: {', '.join(local)}", file=sys.stderr
            )
        else:
            found.append(name[1])
    return sorted(found)


def concerned(since: str) -> list[str]:
    """Return those whose file, or whose code, is another than in a revision; all if there is no such revision."""
    stacks, changed = deployed(), _changed(since)
    if changed is None or any(path.startswith(PROGRAM) for path in changed):
        return stacks
    return [stack for stack in stacks if stack_file.path_of(stack) in changed]


def file_at(revision: str, stack: str) -> str | None:
    """Return the text of a stack's file in a revision; None if it had none."""
    done = _git("show", "--end-of-options", f"{revision}:./{stack_file.path_of(stack)}")
    return done.stdout if done.returncode == 0 else None


def is_behind(revision: str) -> bool:
    """Tell whether a revision is a later one, which has in its history what is checked out."""
    done = _git("rev-list", "--max-count=1", "--ancestry-path", "--end-of-options", f"HEAD..{revision}", "--")
    return done.returncode == 0 and bool(done.stdout)


def _changed(since: str) -> Collection[str] | None:
    # The two trees: where branches have diverged, what is merged is what runs.
    done = _git("diff", "--name-only", "--relative", "-z", "--end-of-options", since, "HEAD", "--")
    return done.stdout.split("\0") if done.returncode == 0 else None


def _git(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
