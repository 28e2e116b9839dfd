"""The forge on which the command runs, by the environment of its job."""

import os

from pipeline.forge import Forge
from pipeline.github import GitHub
from pipeline.gitlab import GitLab

_BY_HAND = {
    True: "to deploy the current plan, run a pipeline of the default branch with the inputs `stack` and `apply`",
    False: "to deploy the current plan, run the workflow Deploy by hand with `apply`",
}


def forge(login: str | None = None) -> Forge:
    """Return the repository of the running job; raise ConfigError if its environment is incomplete.

    login: the account whose comments and issues are trusted and edited; that of the job's token by default
    """
    return GitLab.of_this_run(login) if _is_on_gitlab() else GitHub.of_this_run(login)


def url() -> str:
    """Return the URL of the running job; empty outside of one."""
    if _is_on_gitlab():
        return os.environ.get("CI_JOB_URL", "")
    server, repository, run = (os.environ.get(f"GITHUB_{name}") for name in ("SERVER_URL", "REPOSITORY", "RUN_ID"))
    return f"{server}/{repository}/actions/runs/{run}" if server and run else ""


def starter() -> str:
    """Return the account that started the running job; empty outside of one."""
    # GITHUB_ACTOR would be that of the first attempt, also if a different account starts the run again.
    return os.environ.get("GITLAB_USER_LOGIN" if _is_on_gitlab() else "GITHUB_TRIGGERING_ACTOR", "")


def by_hand() -> str:
    """Return how to deploy by hand."""
    return _BY_HAND[_is_on_gitlab()]


def _is_on_gitlab() -> bool:
    return os.environ.get("GITLAB_CI") == "true"
