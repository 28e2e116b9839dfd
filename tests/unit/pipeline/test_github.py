"""The one comment and the one issue of a stack, with a server that answers as GitHub does."""

import json
import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from pipeline.__main__ import main
from pipeline.comment import marker
from pipeline.github import BOT, PullRequest, Repository
from settings import ConfigError

TOKEN = "a-token-for-tests"  # noqa: S105 - of no account
ISSUE = "<!-- kyma-mtls renewal of prod -->"
SHA = "3d3c42e5aac5ba805825da76410c181273ba90b1"


@dataclass
class Hub:
    """The issues, and the comments of pull request 7; `refuses` is a status for every request."""

    url: str = ""
    comments: list[dict[str, Any]] = field(default_factory=list)
    issues: list[dict[str, Any]] = field(default_factory=list)
    pulls: list[dict[str, Any]] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)
    refuses: int = 0

    def answer(self, method: str, path: str, query: dict[str, list[str]], content: dict[str, Any]) -> Any:
        self.requests.append(f"{method} {path}")
        if path == f"commits/{SHA}/pulls":
            return self.pulls
        if path == "actions/workflows/renew.yml/runs":
            assert query["status"] == ["success"]
            return {"workflow_runs": self.runs}
        kind, found = ("comments", self.comments) if "comments" in path else ("issues", self.issues)
        if method == "GET":
            shown = [each for each in found if each.get("state", "open") == "open"]
            size, page = int(query["per_page"][0]), int(query["page"][0])
            return shown[size * (page - 1) : size * page]
        if method == "POST":
            return self.add(kind, **content)
        number = int(path.rpartition("/")[2])
        edited = next(each for each in found if each["id"] == number)
        edited.update(content)
        return edited

    def add(self, kind: str, body: str, login: str = BOT, **content: Any) -> dict[str, Any]:
        found = self.comments if kind == "comments" else self.issues
        number = len(found) + 1
        added = {"id": number, "number": number, "user": {"login": login}, "state": "open", **content, "body": body}
        found.append(added | {"html_url": f"https://hub.test/{kind}/{number}"})
        return found[-1]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    served = Hub()

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            content = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or "{}")
            asked = urlsplit(self.path)
            path = asked.path.removeprefix("/api/v3/repos/team/mesh/")
            known = self.headers["Authorization"] == f"Bearer {TOKEN}" and path != asked.path
            status = served.refuses or (200 if known else 401)
            said = (
                served.answer(self.command, path, parse_qs(asked.query), content)
                if status == 200
                else {"message": "no"}
            )
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(said).encode())

        do_GET = do_POST = do_PATCH = handle_any  # noqa: N815 - named by the library

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    served.url = f"http://127.0.0.1:{server.server_port}/api/v3"
    for name, value in {"GITHUB_API_URL": served.url, "GITHUB_REPOSITORY": "team/mesh", "GH_TOKEN": TOKEN}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("GITHUB_TOKEN", raising=False)
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    written = tmp_path / "comment.md"
    written.write_text(f"{marker('prod')}\nfirst")
    return written


def put(file: Path) -> int:
    return main(["comment", str(file), "--pull-request", "7"])


def test_comment_is_created_once_and_then_edited(hub: Hub, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert put(file) == 0
    file.write_text(f"{marker('prod')}\nsecond")
    assert put(file) == 0
    assert [each["body"] for each in hub.comments] == [f"{marker('prod')}\nsecond"]
    assert capsys.readouterr().out == "https://hub.test/comments/1\n" * 2
    assert hub.requests[:2] == ["GET issues/7/comments", "POST issues/7/comments"]


def test_comment_is_found_on_a_later_page(hub: Hub, file: Path) -> None:
    for number in range(250):
        hub.add("comments", f"{number}", "a-user")
    hub.add("comments", f"{marker('prod')}\nold")
    assert put(file) == 0
    assert len(hub.comments) == 251
    assert hub.comments[-1]["body"].endswith("first")


@pytest.mark.parametrize(
    ("body", "login"),
    [
        (f"{marker('prod')}\nmine", "a-user"),
        (f"{marker('prod-eu')}\nof a different stack", BOT),
        (f"> {marker('prod')}\nquoted", BOT),
        ("", BOT),
    ],
)
def test_comment_of_different_author_or_stack_is_left_alone(hub: Hub, file: Path, body: str, login: str) -> None:
    hub.add("comments", body, login)
    assert put(file) == 0
    assert [each["body"] for each in hub.comments] == [body, f"{marker('prod')}\nfirst"]


def test_file_without_a_comment_is_refused(hub: Hub, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text("anything")
    assert put(file) == 2
    assert "not a comment that `preview` wrote" in capsys.readouterr().err
    assert not hub.requests


def test_refusal_is_one_line_without_the_token(hub: Hub, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hub.refuses = 403
    assert put(file) == 2
    said = capsys.readouterr().err
    assert re.fullmatch(r"GitHub refuses GET issues/7/comments\S*: 403 .*\n", said)
    assert TOKEN not in said


def test_missing_token_is_reported(
    hub: Hub, file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("GH_TOKEN")
    assert put(file) == 2
    assert "GH_TOKEN and GITHUB_REPOSITORY must be set" in capsys.readouterr().err
    assert not hub.requests


def test_repr_of_repository_hides_the_token(hub: Hub) -> None:
    assert TOKEN not in repr(repository(hub))


def test_server_without_an_answer_is_reported() -> None:
    with socket.socket() as reserved:  # no server listens at its port
        reserved.bind(("127.0.0.1", 0))
        there = Repository(f"http://127.0.0.1:{reserved.getsockname()[1]}", "team/mesh", BOT, TOKEN)
        with pytest.raises(ConfigError, match="GitHub does not answer GET issues/7/comments"):
            there.comment(7, marker("prod"))


def test_merged_pull_request_of_a_commit_is_found(hub: Hub) -> None:
    assert repository(hub).pull_request_of(SHA) is None
    last = {"head": {"sha": SHA[::-1]}}
    hub.pulls = [{"number": 3, "merged_at": None, **last}, {"number": 7, "merged_at": "2026-01-01T00:00:00Z", **last}]
    assert repository(hub).pull_request_of(SHA) == PullRequest(7, SHA[::-1])


def test_issue_is_opened_edited_commented_and_closed(hub: Hub) -> None:
    there, other = repository(hub), f"{ISSUE}-eu"
    assert there.issue(ISSUE) is None
    there.open_issue("Stack prod-eu", f"{other}\n")
    assert there.open_issue("Stack prod", f"{ISSUE}\nfirst").url == "https://hub.test/issues/2"
    found = there.issue(ISSUE)
    assert found
    assert found.body == f"{ISSUE}\nfirst"
    there.edit_issue(found, f"{ISSUE}\nsecond")
    there.comment_on_issue(found, "New")
    there.close_issue(found)
    assert [(each["title"], each["body"], each["state"]) for each in hub.issues] == [
        ("Stack prod-eu", f"{other}\n", "open"),
        ("Stack prod", f"{ISSUE}\nsecond", "closed"),
    ]
    assert "POST issues/2/comments" in hub.requests
    assert [each["body"] for each in hub.comments] == ["New"]
    assert there.issue(ISSUE) is None


def test_last_success_of_a_workflow_is_found(hub: Hub) -> None:
    assert repository(hub).last_success("renew.yml") is None
    hub.runs = [{"created_at": "2026-01-01T04:17:00Z"}]
    assert repository(hub).last_success("renew.yml") == datetime(2026, 1, 1, 4, 17, tzinfo=UTC)


def repository(hub: Hub) -> Repository:
    return Repository(hub.url, "team/mesh", BOT, TOKEN)
