"""A stack's comment on a pull request, and its issue, by GitHub's REST API (https://docs.github.com/rest)."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Any, Self

import urllib3

from settings import ConfigError

BOT = "github-actions[bot]"
"""The account that a workflow's own token writes as."""
_PAGE = 100
_TIMEOUT_SECONDS = 30


@dataclass(frozen=True)
class PullRequest:
    """A merged pull request, and the last commit of its branch."""

    number: int
    head: str


@dataclass(frozen=True)
class Post:
    """An issue: the number by which the API knows it, its text and its URL."""

    number: int
    body: str
    url: str


@dataclass(frozen=True)
class Repository:
    """A repository.

    url: of the API
    name: OWNER/NAME
    login: the account whose comments and issues may be edited
    """

    url: str
    name: str
    login: str
    token: str = field(repr=False)

    @classmethod
    def of_this_run(cls, login: str) -> Self:
        """Return the repository of the running workflow; raise ConfigError if its environment is incomplete."""
        token = os.environ.get("GH_TOKEN") or os.environ.get("GITHUB_TOKEN")
        name = os.environ.get("GITHUB_REPOSITORY")
        if not token or not name:
            raise ConfigError("GH_TOKEN and GITHUB_REPOSITORY must be set, as in a step of a workflow")
        return cls(os.environ.get("GITHUB_API_URL", "https://api.github.com"), name, login, token)

    def put_comment(self, pull_request: int, marker: str, body: str) -> str:
        """Edit the comment that begins with this marker, or create it; return its URL."""
        if found := self.comment(pull_request, marker):
            return str(self._ask("PATCH", f"issues/comments/{found['id']}", {"body": body})["html_url"])
        return str(self._ask("POST", f"issues/{pull_request}/comments", {"body": body})["html_url"])

    def comment(self, pull_request: int, marker: str) -> dict[str, Any] | None:
        """Return the comment that begins with this marker, if there is one."""
        return self._own(f"issues/{pull_request}/comments", marker)

    def pull_request_of(self, commit: str) -> PullRequest | None:
        """Return the merged pull request that has a commit, if there is one."""
        merged = (each for each in self._all(f"commits/{commit}/pulls") if each["merged_at"])
        return next((PullRequest(int(each["number"]), str(each["head"]["sha"])) for each in merged), None)

    def issue(self, marker: str) -> Post | None:
        """Return the account's open issue that begins with this marker, if there is one."""
        found = self._own("issues?state=open", marker)
        return _post(found) if found else None

    def open_issue(self, title: str, body: str) -> Post:
        """Open an issue."""
        return _post(self._ask("POST", "issues", {"title": title, "body": body}))

    def edit_issue(self, issue: Post, body: str) -> None:
        """Replace the text of an issue, which notifies nobody."""
        self._ask("PATCH", f"issues/{issue.number}", {"body": body})

    def comment_on_issue(self, issue: Post, body: str) -> None:
        """Add a comment to an issue, which notifies those who follow it."""
        self._ask("POST", f"issues/{issue.number}/comments", {"body": body})

    def close_issue(self, issue: Post) -> None:
        """Close an issue."""
        self._ask("PATCH", f"issues/{issue.number}", {"state": "closed"})

    def last_success(self, workflow: str) -> datetime | None:
        """Return when the last successful run of a workflow (the name of its file) began; None if there is none."""
        found = self._ask("GET", f"actions/workflows/{workflow}/runs?status=success&per_page=1")["workflow_runs"]
        return datetime.fromisoformat(found[0]["created_at"]) if found else None

    def _own(self, path: str, marker: str) -> dict[str, Any] | None:
        own = (each for each in self._all(path) if (each["user"] or {}).get("login") == self.login)
        return next((each for each in own if (each["body"] or "").startswith(f"{marker}\n")), None)

    def _all(self, path: str) -> Iterator[dict[str, Any]]:
        page = 1
        while True:
            found = self._ask("GET", f"{path}{'&' if '?' in path else '?'}per_page={_PAGE}&page={page}")
            yield from found
            if len(found) < _PAGE:
                return
            page += 1

    def _ask(self, method: str, path: str, content: dict[str, Any] | None = None) -> Any:
        headers = {
            "Authorization": f"Bearer {self.token}",
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
            "User-Agent": "kyma-mtls",
        }
        url = f"{self.url}/repos/{self.name}/{path}"
        with urllib3.PoolManager(headers=headers, timeout=_TIMEOUT_SECONDS) as pool:
            try:
                answer = pool.request(method, url, body=json.dumps(content) if content else None)
            except urllib3.exceptions.HTTPError as error:
                raise ConfigError(f"GitHub does not answer {method} {path}: {type(error).__name__}") from None
        if answer.status >= HTTPStatus.BAD_REQUEST:
            said = answer.data.decode(errors="replace")[:200]
            raise ConfigError(f"GitHub refuses {method} {path}: {answer.status} {' '.join(said.split())}")
        return json.loads(answer.data)


def _post(answer: dict[str, Any]) -> Post:
    return Post(int(answer["number"]), answer["body"] or "", str(answer["html_url"]))
