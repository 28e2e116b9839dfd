"""A project on GitLab, by its REST API (https://docs.gitlab.com/api/rest/)."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self
from urllib.parse import quote

from pipeline.forge import Forge, Post, PullRequest
from pipeline.rest import Rest
from settings import ConfigError

_REMEDY = "GITLAB_TOKEN must be valid, with the scope `api` and the role Reporter in this project"


@dataclass(frozen=True)
class GitLab(Forge):
    """A project on GitLab.

    url: of the project's pages
    branch: into which pull requests are merged to be deployed
    """

    rest: Rest
    login: str
    url: str
    branch: str

    @classmethod
    def of_this_run(cls, login: str | None = None) -> Self:
        """Return the project of the running job; raise ConfigError if its environment is incomplete.

        login: the token's own account by default
        """
        needed = ("GITLAB_TOKEN", "CI_API_V4_URL", "CI_PROJECT_ID", "CI_PROJECT_URL", "CI_DEFAULT_BRANCH")
        token, api, project, url, branch = (os.environ.get(name, "") for name in needed)
        if not (token and api and project and url and branch):
            raise ConfigError(f"{', '.join(needed)} must be set, as in a job with the project's variable GITLAB_TOKEN")
        headers = {"PRIVATE-TOKEN": token}
        own = login or str(Rest("GitLab", api, headers, _REMEDY).ask("GET", "user")["username"])
        return cls(Rest("GitLab", f"{api}/projects/{project}", headers, _REMEDY), own, url, branch)

    def open_issue(self, title: str, body: str) -> Post:
        """Open an issue."""
        return _issue(self.rest.ask("POST", "issues", {"title": title, "description": _inert(body)}))

    def edit_issue(self, issue: Post, body: str) -> None:
        """Replace the text of an issue."""
        self.rest.ask("PUT", f"issues/{issue.number}", {"description": _inert(body)})

    def comment_on_issue(self, issue: Post, body: str) -> None:
        """Add a comment to an issue."""
        self.rest.ask("POST", f"issues/{issue.number}/notes", {"body": _inert(body)})

    def close_issue(self, issue: Post) -> None:
        """Close an issue."""
        self.rest.ask("PUT", f"issues/{issue.number}", {"state_event": "close"})

    def pull_request_of(self, commit: str) -> PullRequest | None:
        """Return the merge request that brought a commit into the default branch, if there is one."""
        found = self.rest.all(f"repository/commits/{commit}/merge_requests")
        merged = (each for each in found if each["state"] == "merged" and each["target_branch"] == self.branch)
        return next((PullRequest(int(each["iid"]), str(each["sha"])) for each in merged), None)

    def last_night(self) -> datetime | None:
        """Return when the last successful scheduled pipeline began; None if there is none."""
        path = f"pipelines?source=schedule&status=success&ref={quote(self.branch, safe='')}&per_page=1"
        found = self.rest.ask("GET", path)
        return datetime.fromisoformat(found[0]["created_at"]) if found else None

    def approvers(self, pull_request: int) -> list[str]:
        """Return the accounts that approve a merge request, sorted."""
        approved = self.rest.ask("GET", f"merge_requests/{pull_request}/approvals")["approved_by"]
        return sorted(str(each["user"]["username"]) for each in approved)

    def _comments(self, pull_request: int) -> Iterator[Post]:
        found = self.rest.all(f"merge_requests/{pull_request}/notes?sort=asc")
        return (self._note(pull_request, each) for each in found)

    def _add_comment(self, pull_request: int, body: str) -> Post:
        sent = {"body": _inert(body)}
        return self._note(pull_request, self.rest.ask("POST", f"merge_requests/{pull_request}/notes", sent))

    def _edit_comment(self, pull_request: int, comment: Post, body: str) -> Post:
        path = f"merge_requests/{pull_request}/notes/{comment.number}"
        return self._note(pull_request, self.rest.ask("PUT", path, {"body": _inert(body)}))

    def _open_issues(self) -> Iterator[Post]:
        return map(_issue, self.rest.all(f"issues?state=opened&author_username={quote(self.login)}"))

    def _note(self, pull_request: int, answer: dict[str, Any]) -> Post:
        number = int(answer["id"])
        url = f"{self.url}/-/merge_requests/{pull_request}#note_{number}"
        return Post(number, _author(answer), answer["body"], url)


def _issue(answer: dict[str, Any]) -> Post:
    return Post(int(answer["iid"]), _author(answer), answer["description"] or "", str(answer["web_url"]))


def _author(answer: dict[str, Any]) -> str:
    return str((answer["author"] or {}).get("username") or "")


def _inert(body: str) -> str:
    """Return a text in which GitLab finds no quick action: no line begins with a slash.

    GitLab looks for them without carriage returns, in its older releases also in code blocks:
    https://gitlab.com/gitlab-org/gitlab/-/blob/master/lib/gitlab/quick_actions/extractor.rb
    """
    return re.sub("^/", " /", body.replace("\r", ""), flags=re.MULTILINE)
