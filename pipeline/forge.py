"""What the pipeline asks of a forge, GitHub or GitLab: comments on pull requests, issues, and who approved what.

A pull request of GitLab is its merge request, a comment its note.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime


@dataclass(frozen=True)
class PullRequest:
    """A merged pull request, and the last commit of its branch."""

    number: int
    head: str


@dataclass(frozen=True)
class Post:
    """A comment or an issue.

    number: by which the API knows it
    author: the account that wrote it
    """

    number: int
    author: str
    body: str
    url: str


class Forge(ABC):
    """A repository of a forge.

    login: the account whose comments and issues are trusted and edited
    """

    login: str

    def comment(self, pull_request: int, marker: str) -> Post | None:
        """Return the account's comment that begins with this marker, if there is one."""
        return self._own(self._comments(pull_request), marker)

    def put_comment(self, pull_request: int, marker: str, body: str) -> str:
        """Edit the account's comment that begins with this marker, or add it; return its URL."""
        found = self.comment(pull_request, marker)
        done = self._edit_comment(pull_request, found, body) if found else self._add_comment(pull_request, body)
        return done.url

    def issue(self, marker: str) -> Post | None:
        """Return the account's open issue that begins with this marker, if there is one."""
        return self._own(self._open_issues(), marker)

    @abstractmethod
    def open_issue(self, title: str, body: str) -> Post:
        """Open an issue."""

    @abstractmethod
    def edit_issue(self, issue: Post, body: str) -> None:
        """Replace the text of an issue, which notifies nobody."""

    @abstractmethod
    def comment_on_issue(self, issue: Post, body: str) -> None:
        """Add a comment to an issue, which notifies those who follow it."""

    @abstractmethod
    def close_issue(self, issue: Post) -> None:
        """Close an issue."""

    @abstractmethod
    def pull_request_of(self, commit: str) -> PullRequest | None:
        """Return the pull request that brought a commit into the branch that is deployed, if there is one."""

    @abstractmethod
    def last_night(self) -> datetime | None:
        """Return when the last successful nightly run began; None if there is none."""

    @abstractmethod
    def approvers(self, pull_request: int) -> list[str]:
        """Return the accounts that approve a pull request, sorted."""

    @abstractmethod
    def _comments(self, pull_request: int) -> Iterator[Post]: ...

    @abstractmethod
    def _add_comment(self, pull_request: int, body: str) -> Post: ...

    @abstractmethod
    def _edit_comment(self, pull_request: int, comment: Post, body: str) -> Post: ...

    @abstractmethod
    def _open_issues(self) -> Iterator[Post]: ...

    def _own(self, posts: Iterable[Post], marker: str) -> Post | None:
        # A form of the web page, in which somebody edits a text, sends carriage returns.
        own = (replace(each, body=each.body.replace("\r", "")) for each in posts if each.author == self.login)
        return next((each for each in own if each.body.startswith(f"{marker}\n")), None)
