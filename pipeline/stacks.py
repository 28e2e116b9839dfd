"""The stacks that the pipeline deploys, those that have dropped out of it, and those that a change affects."""

import subprocess
import sys
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from pipeline import left_out, policies, stack_file
from pipeline.left_out import LIST
from settings import ConfigError

PROGRAM = (
    "__main__.py",
    "Pulumi.yaml",
    "requirements.txt",
    *(f"{name}/" for name in ("clusters", "components", "deployment", "outputs", "proxies", "settings")),
)
"""The files and folders that every deployment runs."""


def deployed() -> list[str]:
    """Return the stacks that the pipeline deploys: those with a file, unless they are listed or have dropped out.

    Print the reason for each stack that stacks.toml lists to stderr.
    """
    listed = left_out.stacks()
    for stack, reason in listed.items():
        print(f"{stack}: not deployed by the pipeline: {reason} ({LIST})", file=sys.stderr)
    return [stack for stack in _with_a_file() if stack not in listed and not _local_kubeconfigs(stack)]


def dropped() -> dict[str, str]:
    """Return each stack that the pipeline cannot deploy, although stacks.toml does not list it, with one line on why.

    Its file is gone, as after a change of its name, or names a kubeconfig. Such a file exists on one machine only: the
    pipeline takes kubeconfigs from secrets of environments, in which stacks name contexts.

    Raise ConfigError if the history of the branch is not known.
    """
    found, listed = _with_a_file(), left_out.stacks()
    lines = {stack: f"{stack_file.path_of(stack)}: {why}" for stack, why in (*_local(found), *_gone(found))}
    return {stack: line for stack, line in lines.items() if stack not in listed}


def affected(since: str) -> list[str]:
    """Return the stacks whose file, program or policies differ from a revision, or that stacks.toml listed there.

    Return all if there is no such revision.
    """
    stacks, changed = deployed(), _changed(since)
    if changed is None or any(path.startswith(PROGRAM) for path in changed):
        return stacks
    listed = _listed_at(since)
    return [stack for stack in stacks if stack in listed or _is_of(stack, changed) or policies.concern(stack, changed)]


def gitlab_pipeline(jobs: Sequence[str], stacks: Sequence[str]) -> dict[str, Any]:
    """Return a GitLab pipeline that runs these jobs for each stack, in their variable STACK.

    jobs: their names; the included job of each name with a dot before it says what it does
    """
    if not stacks:
        return {"no stack": {"script": ["true"]}}  # GitLab refuses a pipeline without a job
    return {job: {"extends": f".{job}", "parallel": {"matrix": [{"STACK": [*stacks]}]}} for job in jobs}


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


def _with_a_file() -> list[str]:
    names = (stack_file.NAME.fullmatch(path.name) for path in Path().glob("Pulumi.*.yaml"))
    return sorted(name[1] for name in names if name)


def _local_kubeconfigs(stack: str) -> list[str]:
    try:
        return stack_file.local_kubeconfigs(stack_file.read(stack))
    except ConfigError:
        return []  # its preview reports the error


def _local(stacks: Collection[str]) -> Iterator[tuple[str, str]]:
    for stack in stacks:
        if local := _local_kubeconfigs(stack):
            yield (
                stack,
                f"names kubeconfigs of one machine ({', '.join(local)}), so that the pipeline cannot deploy {stack}; "
                f"name contexts instead, or list {stack} in {LIST}",
            )


def _gone(stacks: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield each stack that has no file, although an earlier commit of the branch had one."""
    if _read("rev-parse", "--is-shallow-repository").strip() == "true":
        raise ConfigError(
            "the clone is shallow, so that files that are gone are not known; fetch the whole history: "
            "fetch-depth: 0 in GitHub, GIT_DEPTH: 0 in GitLab"
        )
    shown = ("--first-parent", "-m", "--no-renames", "--diff-filter=D", "--name-only", "--relative", "--format=%h")
    commit, known = "", set(stacks)
    for line in _read("log", *shown, "--", ":(glob)Pulumi.*.yaml").splitlines():
        if not (name := stack_file.NAME.fullmatch(line)):
            commit = line or commit
        elif name[1] not in known:
            known.add(name[1])
            yield (
                name[1],
                f"gone since commit {commit}, so that nothing deploys {name[1]} or renews its certificates; restore "
                "the file, or, after `pulumi destroy` and `pulumi stack rm` or after `pulumi stack rename`, "
                f"list {name[1]} in {LIST}",
            )


def _listed_at(revision: str) -> Collection[str]:
    try:
        return left_out.parse(_git("show", "--end-of-options", f"{revision}:./{LIST}").stdout)
    except ConfigError:
        return ()


def _is_of(stack: str, paths: Collection[str]) -> bool:
    """Return whether one of these files is the stack's, or one that its file names as file:PATH."""
    try:
        text = stack_file.read(stack)
    except ConfigError:
        return True  # its preview reports the error
    return stack_file.path_of(stack) in paths or any(f"file:{path}" in text for path in paths if path)


def _changed(since: str) -> Collection[str] | None:
    # A diff of the two trees, without their merge base: the merged tree runs.
    done = _git("diff", "--name-only", "--relative", "-z", "--end-of-options", since, "HEAD", "--")
    return done.stdout.split("\0") if done.returncode == 0 else None


def _read(*arguments: str) -> str:
    done = _git(*arguments)
    if done.returncode:
        raise ConfigError(f"`git {arguments[0]}` fails: {' '.join(done.stderr.split())}")
    return done.stdout


def _git(*arguments: str) -> subprocess.CompletedProcess[str]:
    options: dict[str, Any] = {"text": True, "errors": "surrogateescape"}  # names of files may be in any encoding
    return subprocess.run(["git", *arguments], capture_output=True, check=False, **options)
