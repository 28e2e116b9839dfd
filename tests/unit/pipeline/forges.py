"""Servers that answer as GitHub and GitLab do, after their documentation."""

import json
import re
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

TOKEN = "a-token-for-tests"  # noqa: S105 - of no account
SHA = "3d3c42e5aac5ba805825da76410c181273ba90b1"
Content = dict[str, Any]


@dataclass
class Answer:
    """What a server answers to a request."""

    content: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class StandIn(ABC):
    """A forge with one repository and pull request 7.

    pulls: the pull requests that have a commit, by the commit
    nights: when its successful nightly runs began, the last one first
    refusals: the answers to the next requests, whatever they ask for
    """

    bot: str
    url: str = ""
    comments: list[Content] = field(default_factory=list)
    issues: list[Content] = field(default_factory=list)
    comments_on_issues: list[tuple[int, str]] = field(default_factory=list)
    pulls: dict[str, list[Content]] = field(default_factory=dict)
    reviews: list[Content] = field(default_factory=list)
    nights: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    refusals: list[Answer] = field(default_factory=list)

    @abstractmethod
    def environment(self) -> dict[str, str]:
        """Return the environment of a job that runs on this forge."""

    @abstractmethod
    def answer(self, method: str, url: str, headers: Mapping[str, str], content: Content) -> Answer:
        """Answer a request for a path with its query."""

    @abstractmethod
    def merge(self, commit: str, head: str, *approvers: str) -> None:
        """Merge pull request 7, whose branch ends with the commit `head`, by a commit."""

    @abstractmethod
    def add_comment(self, body: str, author: str) -> Content:
        """Add a comment to the pull request."""

    @abstractmethod
    def bodies_of_issues(self) -> list[tuple[str, str]]:
        """Return state and text of each issue."""

    def paged(self, entries: list[Content], path: str, query: Mapping[str, list[str]], least: int) -> Answer:
        """Answer with a page; an entry that is `hidden` takes its place on the page, but is not shown."""
        size, page = (int(query.get(name, [str(default)])[0]) for name, default in (("per_page", least), ("page", 1)))
        assert size <= 100, "more than the forge allows"
        last = -(-len(entries) // size) or 1
        following = urlencode({**{key: each[0] for key, each in query.items()}, "page": page + 1})
        links = [f'<{self.url}/{path}?{following}>; rel="next"'] if page < last else []
        shown = entries[size * (page - 1) : size * page]
        return Answer(
            [each for each in shown if not each.get("hidden")],
            headers={"Link": ", ".join([*links, f'<{self.url}/{path}>; rel="first"'])},
        )


@dataclass
class Hub(StandIn):
    """GitHub, with the repository team/mesh."""

    bot: str = "github-actions[bot]"

    def environment(self) -> dict[str, str]:
        return {
            "GITHUB_API_URL": self.url,
            "GITHUB_REPOSITORY": "team/mesh",
            "GITHUB_REF_NAME": "main",
            "GH_TOKEN": TOKEN,
            "GITLAB_CI": "",
        }

    def answer(self, method: str, url: str, headers: Mapping[str, str], content: Content) -> Answer:
        if headers["Authorization"] != f"Bearer {TOKEN}":
            return Answer({"message": "Bad credentials"}, 401)
        path, query = urlsplit(url).path.removeprefix("/repos/team/mesh/"), parse_qs(urlsplit(url).query)
        self.requests.append(f"{method} {path}")
        if path == "actions/workflows/renew.yml/runs":
            assert query["status"] == ["success"]
            return Answer({"workflow_runs": [{"created_at": each} for each in self.nights]})
        is_comment = path.partition("/")[2].startswith("comments/") or path == "issues/7/comments"
        found = self.comments if is_comment else self.issues
        if method == "GET":
            open_ones = [each for each in found if each.get("state", "open") == "open"]
            lists = {f"commits/{commit}/pulls": pulls for commit, pulls in self.pulls.items()}
            lists["pulls/7/reviews"] = self.reviews
            known = [] if path.startswith("commits/") else open_ones
            return self.paged(lists.get(path, known), path, query, 30)
        if method == "PATCH":
            number = int(path.rpartition("/")[2])
            edited = next(each for each in found if each["id"] == number)
            edited.update(content)
            return Answer(edited)
        if not is_comment and path != "issues":
            self.comments_on_issues.append((int(path.split("/")[1]), content["body"]))
            return Answer(self._post("comments", 1, self.bot, content), 201)
        found.append(self._post("comments" if is_comment else "issues", len(found) + 1, self.bot, content))
        return Answer(found[-1], 201)

    def merge(self, commit: str, head: str, *approvers: str) -> None:
        merged = {"number": 7, "merged_at": "2026-01-01T00:00:00Z", "head": {"sha": head}, "base": {"ref": "main"}}
        others = [{**merged, "number": 3, "merged_at": None}, {**merged, "number": 4, "base": {"ref": "feature"}}]
        self.pulls[commit] = [*others, merged]
        self.reviews = [{"user": {"login": each}, "state": "APPROVED"} for each in approvers]

    def add_comment(self, body: str, author: str) -> Content:
        self.comments.append(self._post("comments", len(self.comments) + 1, author, {"body": body}))
        return self.comments[-1]

    def bodies_of_issues(self) -> list[tuple[str, str]]:
        return [(each["state"], each["body"]) for each in self.issues]

    def _post(self, kind: str, number: int, author: str, content: Content) -> Content:
        url = f"https://forge.test/{kind}/{number}"
        added = {"id": number, "number": number, "user": {"login": author}, "html_url": url}
        return {**added, **({"state": "open"} if kind == "issues" else {}), **content}


@dataclass
class Lab(StandIn):
    """GitLab, with the project 5, https://forge.test/team/mesh.

    scope: of the token: api or read_api
    is_member: whether the token may see the project
    executed: the quick actions that it found in notes and descriptions
    """

    bot: str = "project_5_bot_1"
    scope: str = "api"
    is_member: bool = True
    executed: list[str] = field(default_factory=list)

    def environment(self) -> dict[str, str]:
        return {
            "GITLAB_CI": "true",
            "CI_API_V4_URL": f"{self.url}/api/v4",
            "CI_PROJECT_ID": "5",
            "CI_PROJECT_URL": "https://forge.test/team/mesh",
            "CI_DEFAULT_BRANCH": "main",
            "GITLAB_TOKEN": TOKEN,
        }

    def answer(self, method: str, url: str, headers: Mapping[str, str], content: Content) -> Answer:
        if headers.get("PRIVATE-TOKEN") != TOKEN:
            return Answer({"message": "401 Unauthorized"}, 401)
        path, query = urlsplit(url).path.removeprefix("/api/v4/"), parse_qs(urlsplit(url).query)
        if path == "user":
            return Answer({"id": 9, "username": self.bot})
        if not self.is_member or not path.startswith("projects/5/"):
            return Answer({"message": "404 Project Not Found"}, 404)
        if method != "GET" and self.scope != "api":
            return Answer({"error": "insufficient_scope", "scope": "api"}, 403)
        if content and headers.get("Content-Type") != "application/json":
            return Answer({"error": "body is missing"}, 400)
        path = path.removeprefix("projects/5/")
        self.requests.append(f"{method} {path}")
        return self._read(path, query) if method == "GET" else self._write(method, path, content)

    def _read(self, path: str, query: Mapping[str, list[str]]) -> Answer:
        if path == "merge_requests/7/approvals":
            return Answer({"approved_by": self.reviews})
        if path == "pipelines":
            wanted = {"source": ["schedule"], "status": ["success"], "ref": ["main"], "per_page": ["1"]}
            assert query == wanted
            return Answer([{"created_at": each} for each in self.nights])
        if path == "issues":
            by = query.get("author_username", [""])[0]
            entries = [each for each in self.issues if each["state"] == query["state"][0]]
            entries = [each for each in entries if by in {"", each["author"]["username"]}]
        else:
            lists = {f"repository/commits/{commit}/merge_requests": pulls for commit, pulls in self.pulls.items()}
            lists["merge_requests/7/notes"] = self.comments if query.get("sort") == ["asc"] else self.comments[::-1]
            entries = lists.get(path, []) if path.startswith("repository/commits/") else lists[path]
        return self.paged(entries, path, query, 20)

    def _write(self, method: str, path: str, content: Content) -> Answer:
        content = {key: self._without_actions(text) for key, text in content.items()}
        if len(content.get("body", "")) > 1_000_000:
            return Answer({"message": {"note": ["is too long (maximum is 1000000 characters)"]}}, 400)
        if content.pop("state_event", "") == "close":
            content["state"] = "closed"
        kind, *rest = path.split("/")
        if method == "PUT":
            found, key = (self.comments, "id") if kind == "merge_requests" else (self.issues, "iid")
            edited = next(each for each in found if each[key] == int(rest[-1]))
            edited.update(content)
            return Answer(edited)
        if kind == "merge_requests":
            return Answer(self.add_comment(content["body"], self.bot), 201)
        if rest:
            self.comments_on_issues.append((int(rest[0]), content["body"]))
            return Answer(self._note(1, content["body"], self.bot), 201)
        iid = len(self.issues) + 1
        opened = {"id": 1000 + iid, "iid": iid, "author": {"username": self.bot}, "state": "opened", **content}
        self.issues.append(opened | {"web_url": f"https://forge.test/issues/{iid}"})
        return Answer(self.issues[-1], 201)

    def _without_actions(self, text: str) -> str:
        """Execute quick actions, in code blocks, too, as older releases do where a fence seems to end."""
        text = text.replace("\r", "")
        self.executed += re.findall(r"^/\w+.*", text, re.MULTILINE)
        return re.sub(r"^/\w+.*\n?", "", text, flags=re.MULTILINE).rstrip()

    def merge(self, commit: str, head: str, *approvers: str) -> None:
        merged = {"iid": 7, "state": "merged", "sha": head, "target_branch": "main"}
        others = [{**merged, "iid": 3, "state": "opened"}, {**merged, "iid": 4, "target_branch": "feature"}]
        self.pulls[commit] = [*others, merged]
        self.reviews = [{"user": {"username": each}} for each in approvers]

    def add_comment(self, body: str, author: str) -> Content:
        self.comments.append(self._note(len(self.comments) + 1, body, author))
        return self.comments[-1]

    def bodies_of_issues(self) -> list[tuple[str, str]]:
        return [(each["state"], each["description"]) for each in self.issues]

    def _note(self, number: int, body: str, author: str) -> Content:
        return {
            "id": number,
            "body": body,
            "author": {"id": 1, "username": author},
            "system": False,
            "noteable_type": "MergeRequest",
            "noteable_iid": 7,
            "resolvable": False,
            "internal": False,
        }


@contextmanager
def served(stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    """Serve a forge, and set the environment of a job that runs on it."""

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            content = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or "{}")
            refused = stand_in.refusals.pop(0) if stand_in.refusals else None
            said = refused or stand_in.answer(self.command, self.path, dict(self.headers.items()), content)
            self.send_response(said.status)
            for name, value in said.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(said.content if isinstance(said.content, bytes) else json.dumps(said.content).encode())

        do_GET = do_POST = do_PATCH = do_PUT = handle_any  # noqa: N815 - named by the library

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    stand_in.url = f"http://127.0.0.1:{server.server_port}"
    for name in ("GITHUB_TOKEN", "GITHUB_RUN_ID", "GITHUB_SERVER_URL", "CI_JOB_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in stand_in.environment().items():
        monkeypatch.setenv(name, value)
    try:
        yield stand_in
    finally:
        server.shutdown()
        server.server_close()
