"""What is GitLab's alone: quick actions, permissions, and branches."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline import this_run
from pipeline.__main__ import main
from pipeline.comment import marker
from tests.unit.pipeline.forges import SHA, Lab, served


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    with served(Lab(), monkeypatch) as stand_in:
        assert isinstance(stand_in, Lab)
        yield stand_in


@pytest.mark.parametrize(
    "text",
    [
        "/close",
        "said:\n/merge\n/approve now",
        "````\n```\n/assign @all\n````",
        "> quoted\n\r/label ~bug",
        "one\r\n/close\r\ntwo",
    ],
)
def test_no_text_is_a_quick_action(lab: Lab, text: str) -> None:
    there = this_run.forge()
    for body in (f"{marker('prod')}\n{text}", f"{marker('prod')}\n{text}\nedited"):
        there.put_comment(7, marker("prod"), body)
    opened = there.open_issue("title", text)
    there.edit_issue(opened, text)
    there.comment_on_issue(opened, text)
    assert not lab.executed
    kept = [lab.comments[0]["body"], lab.issues[0]["description"], lab.comments_on_issues[0][1]]
    shown = [line.strip() for line in text.replace("\r", "").splitlines()]
    for body in kept:
        assert set(shown) <= {line.strip() for line in body.splitlines()}


def test_slash_within_a_line_stays_as_it_is(lab: Lab) -> None:
    this_run.forge().put_comment(7, marker("prod"), f"{marker('prod')}\n- a/b\n  /c")
    assert lab.comments[0]["body"] == f"{marker('prod')}\n- a/b\n  /c"


@pytest.mark.parametrize(("scope", "is_member", "status"), [("read_api", True, "403"), ("api", False, "404")])
def test_token_that_may_not_comment_is_told_what_it_needs(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str], scope: str, is_member: bool, status: str
) -> None:
    lab.scope, lab.is_member = scope, is_member
    file = tmp_path / "comment.md"
    file.write_text(f"{marker('prod')}\nfirst")
    assert main(["comment", str(file), "--pull-request", "7"]) == 2
    said = capsys.readouterr().err
    assert f": {status} " in said
    assert said.endswith("GITLAB_TOKEN must be valid, with the scope `api` and the role Reporter in this project\n")
    assert said.count("\n") == 1


def test_merge_request_into_a_different_branch_is_not_the_one_of_a_commit(lab: Lab) -> None:
    lab.pulls = {SHA: [{"iid": 3, "state": "merged", "sha": SHA, "target_branch": "feature"}]}
    assert this_run.forge().pull_request_of(SHA) is None


def test_approvers_are_those_of_the_merge_request(lab: Lab) -> None:
    lab.reviews = [{"user": {"username": name}} for name in ("zoe", "ann")]
    assert this_run.forge().approvers(7) == ["ann", "zoe"]


def test_issue_of_a_different_author_is_left_alone(lab: Lab) -> None:
    lab.issues.append(
        {
            "iid": 4,
            "state": "opened",
            "author": {"username": "a-user"},
            "description": f"{marker('prod')}\n",
            "web_url": "",
        }
    )
    assert this_run.forge().issue(marker("prod")) is None
