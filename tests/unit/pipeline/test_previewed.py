"""Plans that are compared with the comment of a merged pull request."""

import json
from pathlib import Path

import pytest

from pipeline import comment, stacks, this_run
from pipeline.__main__ import main
from pipeline.forge import Post, PullRequest
from tests.unit.pipeline.fake_engine import HEAD, Engine
from tests.unit.pipeline.plans import (
    LEAF,
    SECRET,
    SERVICE,
    resource,
)


class Remembered:
    """A repository where this pull request, or none, brought the commit; it has a comment, or none."""

    def __init__(self, merged: PullRequest | None, body: str | None) -> None:
        self.merged, self.body = merged, body

    def pull_request_of(self, commit: str) -> PullRequest | None:
        assert commit == "abc"
        return self.merged

    def comment(self, pull_request: int, marker: str) -> Post | None:
        assert (pull_request, marker) == (7, comment.marker("prod"))
        return Post(1, "bot", self.body, "") if self.body else None

    def approvers(self, pull_request: int) -> list[str]:
        assert pull_request == 7
        return ["ann"]


@pytest.mark.parametrize(
    ("merged", "is_commented", "kinds", "said"),
    [
        (PullRequest(7, HEAD), True, ["create"], ""),
        (
            PullRequest(7, HEAD),
            True,
            ["create", "delete"],
            "preview in the pull request did not have:\n  delete Service",
        ),
        (PullRequest(7, HEAD), False, [], f"no preview of prod succeeded in pull request 7 at its last commit, {HEAD}"),
        (
            PullRequest(7, "f" * 40),
            True,
            ["create"],
            "no preview of prod succeeded in pull request 7 at its last commit",
        ),
        (None, True, [], "no merged pull request has commit abc, so reviewers saw no preview of prod"),
    ],
)
def test_plan_is_compared_with_the_comment_of_the_merged_pull_request(
    engine: Engine,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    merged: PullRequest | None,
    is_commented: bool,
    kinds: list[str],
    said: str,
) -> None:
    engine.answer("preview", plan={SECRET: resource("create"), LEAF: resource("create")})
    assert main(["preview", "prod", "--plan", "previewed.json", "--comment", "comment.md", "--head", HEAD]) == 0
    body = Path("comment.md").read_text() if is_commented else None
    monkeypatch.setattr(this_run, "forge", lambda _: Remembered(merged, body))
    now = {SECRET: resource("create")} | ({SERVICE: resource("delete")} if "delete" in kinds else {})
    Path("plan.json").write_text(json.dumps({"resourcePlans": now}))
    recorded = ["--record", "record.json"]
    assert main(["previewed", "prod", "--plan", "plan.json", "--commit", "abc", *recorded]) == (1 if said else 0)
    printed = capsys.readouterr().err
    if not said:
        review = {"number": 7, "head": HEAD, "approvedBy": ["ann"]}
        assert json.loads(Path("record.json").read_text()) == {"pullRequests": [review]}
    assert said in printed
    assert ("run the workflow Deploy by hand with `apply`" in printed) == bool(said)


class Queue:
    """A repository whose pull requests 7 and 8 were merged by one push; the first has no preview of the stack."""

    def __init__(self, body: str) -> None:
        self.body = body

    def pull_request_of(self, commit: str) -> PullRequest:
        return PullRequest(8 if commit == "second" else 7, HEAD)

    def comment(self, pull_request: int, _: str) -> Post | None:
        return Post(1, "bot", self.body, "") if pull_request == 8 else None


@pytest.mark.parametrize("kinds", [["create"], ["create", "delete"]])
def test_plan_is_compared_with_the_comments_of_all_pull_requests_that_a_push_merges(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], kinds: list[str]
) -> None:
    engine.answer("preview", plan={SECRET: resource("create")})
    assert main(["preview", "prod", "--plan", "plan.json", "--comment", "comment.md", "--head", HEAD]) == 0
    monkeypatch.setattr(this_run, "forge", lambda _: Queue(Path("comment.md").read_text()))
    monkeypatch.setattr(stacks, "merges", lambda since, commit: [commit, "second", "first"] if since else [commit])
    now = {SECRET: resource("create")} | ({SERVICE: resource("delete")} if "delete" in kinds else {})
    Path("plan.json").write_text(json.dumps({"resourcePlans": now}))
    command = ["previewed", "prod", "--plan", "plan.json", "--commit", "last"]
    assert main([*command, "--since", "before"]) == (1 if "delete" in kinds else 0)
    assert main(command) == 1
    assert "no preview of prod succeeded in pull request 7" in capsys.readouterr().err
