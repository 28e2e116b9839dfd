"""A repository on GitHub, by its REST API (https://docs.github.com/rest)."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from pipeline.forge import Forge, Post, PullRequest
from pipeline.rest import Rest
from settings import ConfigError

BOT = "github-actions[bot]"
"""The account that a workflow's own token writes as."""
_NIGHTLY = "renew.yml"
_REMEDY = "GH_TOKEN must be valid, with the permissions that the workflow in .github/workflows gives to this job"


@dataclass(frozen=True)
class GitHub(Forge):
    """A repository on GitHub.

    branch: of the run, into which pull requests are merged to be deployed
    """

    rest: Rest
    branch: str
    login: str = BOT

    @classmethod
    def of_this_run(cls, login: str | None = None) -> Self:
        """Return the repository of the running workflow; raise ConfigError if its environment is incomplete."""
        token = os.environ.get("GH_TOKEN") or os.environ.get("GITHUB_TOKEN")
        name = os.environ.get("GITHUB_REPOSITORY")
        if not token or not name:
            raise ConfigError("GH_TOKEN and GITHUB_REPOSITORY must be set, as in a step of a workflow")
        headers = {
            "Authorization": f"Bearer {token}",
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
        }
        api = os.environ.get("GITHUB_API_URL", "https://api.github.com")
        rest = Rest("GitHub", f"{api}/repos/{name}", headers, _REMEDY)
        return cls(rest, os.environ.get("GITHUB_REF_NAME", ""), login or BOT)

    def open_issue(self, title: str, body: str) -> Post:
        """Open an issue."""
        return _issue(self.rest.ask("POST", "issues", {"title": title, "body": body}))

    def edit_issue(self, issue: Post, body: str) -> None:
        """Replace the text of an issue."""
        self.rest.ask("PATCH", f"issues/{issue.number}", {"body": body})

    def comment_on_issue(self, issue: Post, body: str) -> None:
        """Add a comment to an issue."""
        self._add_comment(issue.number, body)

    def close_issue(self, issue: Post) -> None:
        """Close an issue."""
        self.rest.ask("PATCH", f"issues/{issue.number}", {"state": "closed"})

    def pull_request_of(self, commit: str) -> PullRequest | None:
        """Return the pull request that brought a commit into the branch of the run, if there is one."""
        found = self.rest.all(f"commits/{commit}/pulls")
        merged = (each for each in found if each["merged_at"] and each["base"]["ref"] == self.branch)
        return next((PullRequest(int(each["number"]), str(each["head"]["sha"])) for each in merged), None)

    def last_night(self) -> datetime | None:
        """Return when the last successful nightly run began; None if there is none."""
        path = f"actions/workflows/{_NIGHTLY}/runs?status=success&per_page=1"
        found = self.rest.ask("GET", path)["workflow_runs"]
        return datetime.fromisoformat(found[0]["created_at"]) if found else None

    def approvers(self, pull_request: int) -> list[str]:
        """Return the accounts whose last review that judges approves a pull request, sorted."""
        judged = {
            str((each["user"] or {}).get("login")): each["state"]
            for each in self.rest.all(f"pulls/{pull_request}/reviews")  # in chronological order
            if each["state"] in {"APPROVED", "CHANGES_REQUESTED", "DISMISSED"}
        }
        return sorted(login for login, state in judged.items() if state == "APPROVED")

    def _comments(self, pull_request: int) -> Iterator[Post]:
        return map(_comment, self.rest.all(f"issues/{pull_request}/comments"))

    def _add_comment(self, pull_request: int, body: str) -> Post:
        return _comment(self.rest.ask("POST", f"issues/{pull_request}/comments", {"body": body}))

    def _edit_comment(self, _: int, comment: Post, body: str) -> Post:
        return _comment(self.rest.ask("PATCH", f"issues/comments/{comment.number}", {"body": body}))

    def _open_issues(self) -> Iterator[Post]:
        return map(_issue, self.rest.all("issues?state=open"))


def _comment(answer: dict[str, Any]) -> Post:
    return _post(answer, "id")


def _issue(answer: dict[str, Any]) -> Post:
    return _post(answer, "number")


def _post(answer: dict[str, Any], number: str) -> Post:
    author = (answer["user"] or {}).get("login") or ""
    return Post(int(answer[number]), author, answer["body"] or "", str(answer["html_url"]))
