"""The one comment and the one issue of a stack, on GitHub and on GitLab."""

import json
import re
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipeline import issue, this_run
from pipeline.__main__ import main
from pipeline.comment import LONGEST, marker
from pipeline.forge import PullRequest
from settings import ConfigError
from tests.unit.pipeline.fake_engine import Engine
from tests.unit.pipeline.forges import SHA, TOKEN, Answer, Hub, Lab, StandIn, served
from tests.unit.pipeline.plans import SERVICE, resource
from tests.unit.pipeline.repository import commit


@pytest.fixture(params=[Hub, Lab], ids=["github", "gitlab"])
def forge(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    with served(request.param(), monkeypatch) as stand_in:
        yield stand_in


@pytest.fixture
def file(tmp_path: Path) -> Path:
    written = tmp_path / "comment.md"
    written.write_text(f"{marker('prod')}\nfirst")
    return written


def put(file: Path, *options: str) -> int:
    return main(["comment", str(file), "--pull-request", "7", *options])


def test_comment_is_created_once_and_then_edited(
    forge: StandIn, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert put(file) == 0
    file.write_text(f"{marker('prod')}\nsecond")
    assert put(file) == 0
    assert [each["body"] for each in forge.comments] == [f"{marker('prod')}\nsecond"]
    first, second = capsys.readouterr().out.splitlines()
    assert first == second
    assert first.startswith("https://forge.test/")
    assert first.endswith("1")


def test_longest_comment_is_accepted(forge: StandIn, file: Path) -> None:
    body = f"{marker('prod')}\n".ljust(LONGEST, "x")
    file.write_text(body)
    assert put(file) == 0
    assert forge.comments[0]["body"] == body


def test_comment_that_somebody_saved_on_the_web_page_is_edited(forge: StandIn, file: Path) -> None:
    forge.add_comment(f"{marker('prod')}\r\nold", forge.bot)
    assert put(file) == 0
    assert [each["body"] for each in forge.comments] == [f"{marker('prod')}\nfirst"]


def test_comment_is_found_on_a_later_page_though_an_earlier_one_is_not_full(forge: StandIn, file: Path) -> None:
    for number in range(250):
        forge.add_comment(f"{number}", "a-user")["hidden"] = number % 3 == 0
    forge.add_comment(f"{marker('prod')}\nold", forge.bot)
    assert put(file) == 0
    assert len(forge.comments) == 251
    assert forge.comments[-1]["body"].endswith("first")


@pytest.mark.parametrize(
    ("body", "is_own"),
    [
        (f"{marker('prod')}\nmine", False),
        (f"{marker('prod-eu')}\nof a different stack", True),
        (f"> {marker('prod')}\nquoted", True),
        ("", True),
    ],
)
def test_comment_of_different_author_or_stack_is_left_alone(
    forge: StandIn, file: Path, body: str, is_own: bool
) -> None:
    forge.add_comment(body, forge.bot if is_own else "a-user")
    assert put(file) == 0
    assert [each["body"] for each in forge.comments] == [body, f"{marker('prod')}\nfirst"]


def test_named_account_is_trusted_instead_of_that_of_the_token(forge: StandIn, file: Path) -> None:
    for author in (forge.bot, "team-bot"):
        forge.add_comment(f"{marker('prod')}\nold", author)
    assert put(file, "--login", "team-bot") == 0
    assert [each["body"].splitlines()[1] for each in forge.comments] == ["old", "first"]


def test_file_without_a_comment_is_refused(forge: StandIn, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text("anything")
    assert put(file) == 2
    assert "not a comment that `preview` wrote" in capsys.readouterr().err
    assert not forge.requests


@pytest.mark.parametrize("status", [301, 401, 403, 404, 409, 422, 500])
def test_refusal_is_one_line_without_the_token(
    forge: StandIn, file: Path, capsys: pytest.CaptureFixture[str], status: int
) -> None:
    there = this_run.forge()
    forge.refusals = [Answer({"message": "no\nway"}, status, {"Location": f"{forge.url}/stolen"})]
    with pytest.raises(ConfigError) as refused:
        there.put_comment(7, marker("prod"), file.read_text())
    assert re.fullmatch(
        r"Git(Hub|Lab) refuses GET \S*7/(comments|notes)\S*: [345]\d\d .*no\\nway.*", str(refused.value)
    )
    assert TOKEN not in str(refused.value)
    assert not forge.requests, "it is not sent again, and not to where a redirection leads"
    assert not capsys.readouterr().err


def test_request_that_comes_too_early_is_sent_again(forge: StandIn, file: Path) -> None:
    forge.refusals = [Answer({"message": "Retry later"}, 429, {"Retry-After": "0"})] * 3
    assert put(file) == 0
    assert len(forge.comments) == 1


def test_request_that_always_comes_too_early_is_reported(
    forge: StandIn, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    forge.refusals = [Answer({"message": "Retry later"}, 429, {"Retry-After": "0"})] * 9
    assert put(file) == 2
    assert re.search(r"refuses GET \S+: 429 .*Retry later", capsys.readouterr().err)


def test_answer_that_is_no_json_is_reported(forge: StandIn, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    forge.refusals = [Answer(b"<html>")] * 2
    assert put(file) == 2
    assert re.fullmatch(r"Git\w+ does not answer GET \S+ in JSON: .*\n", capsys.readouterr().err)


def test_answer_that_is_no_list_is_reported(forge: StandIn) -> None:
    there = this_run.forge()
    forge.refusals = [Answer({"message": "moved"})]
    with pytest.raises(ConfigError, match=r"Git\w+ does not answer GET \S+ with a list: "):
        there.comment(7, marker("prod"))


@pytest.mark.parametrize("missing", ["token", "repository"])
def test_incomplete_environment_is_reported(
    forge: StandIn,
    file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    missing: str,
) -> None:
    names = {"token": ("GH_TOKEN", "GITLAB_TOKEN"), "repository": ("GITHUB_REPOSITORY", "CI_PROJECT_ID")}[missing]
    for name in names:
        monkeypatch.delenv(name, raising=False)
    assert put(file) == 2
    assert re.search(
        r"(GH_TOKEN|GITLAB_TOKEN), .*must be set|GH_TOKEN and GITHUB_REPOSITORY must be set", capsys.readouterr().err
    )
    assert not forge.requests


def test_repr_hides_the_token(forge: StandIn) -> None:
    assert forge.url in repr(this_run.forge())
    assert TOKEN not in repr(this_run.forge())


def test_server_without_an_answer_is_reported(forge: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as reserved:  # no server listens at its port
        reserved.bind(("127.0.0.1", 0))
        for name in ("GITHUB_API_URL", "CI_API_V4_URL"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{reserved.getsockname()[1]}")
        with pytest.raises(ConfigError, match=r"Git\w+ does not answer GET \S+: MaxRetryError"):
            this_run.forge("a-user").comment(7, marker("prod"))
    assert not forge.requests


def test_commit_without_a_pull_request_has_none(forge: StandIn) -> None:
    assert this_run.forge().pull_request_of(SHA) is None
    assert forge.requests


def test_pull_request_that_merged_a_commit_into_the_deployed_branch_is_found(forge: StandIn) -> None:
    forge.merge(SHA, SHA[::-1], "ann")
    forge.merge("f" * 40, "0" * 40)
    assert this_run.forge().pull_request_of(SHA) == PullRequest(7, SHA[::-1])


def test_issue_is_opened_once_edited_and_closed_before_a_new_one(forge: StandIn) -> None:
    there, topic = this_run.forge(), issue.of_stack("prod")
    assert issue.put(there, topic, ["one"]) == "https://forge.test/issues/1"
    assert issue.put(there, topic, ["one"]) == "https://forge.test/issues/1"
    ((is_open, body),) = forge.bodies_of_issues()
    assert "\n- [ ] `one`\n" in body
    assert not forge.comments_on_issues
    assert issue.put(there, topic, ["/close", "two"]) == "https://forge.test/issues/1"
    ((number, added),) = forge.comments_on_issues
    assert number == 1
    assert "- `/close`\n- `two`" in added
    assert "is open" in issue.put(there, issue.of_stack("prod-eu"), [])
    assert forge.bodies_of_issues()[0][0] == is_open
    issue.put(there, topic, [])
    issue.put(there, topic, ["three"])
    assert [state for state, _ in forge.bodies_of_issues()] == ["closed", is_open]


def test_comment_on_an_issue_is_added(forge: StandIn) -> None:
    there = this_run.forge()
    opened = there.open_issue("title", f"{marker('prod')}\nbody")
    there.comment_on_issue(opened, "new")
    assert forge.comments_on_issues == [(1, "new")]
    assert there.issue(marker("prod")) == opened


def test_issue_links_to_the_run(forge: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_SERVER_URL", "https://forge.test")
    monkeypatch.setenv("GITHUB_RUN_ID", "42")
    monkeypatch.setenv("CI_JOB_URL", "https://forge.test/team/mesh/-/jobs/42")
    issue.put(this_run.forge(), issue.of_stack("prod"), ["one"])
    assert re.search(r"\(https://forge\.test/team/mesh/(-/jobs|actions/runs)/42\)", forge.bodies_of_issues()[0][1])


def test_last_successful_night_is_found(forge: StandIn) -> None:
    assert this_run.forge().last_night() is None
    forge.nights = ["2026-11-28T04:17:00Z"]
    assert this_run.forge().last_night() == datetime(2026, 11, 28, 4, 17, tzinfo=UTC)


def test_change_is_previewed_reviewed_and_deployed(
    forge: StandIn, engine: Engine, verified: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    engine.answer("preview", plan={SERVICE: resource("create")}, output="+ Service: (create)\n/close\n")
    files = ["--plan", "plan.json", "--comment", "comment.md"]
    assert main(["preview", "prod", "--head", SHA[::-1], *files]) == 0
    assert put(Path("comment.md")) == 0
    deployed = commit()
    assert main(["preview", "prod", *files]) == 0
    previewed = ["previewed", "prod", "--plan", "plan.json", "--commit", deployed, "--record", "record.json"]
    assert main(previewed) == 1
    assert "so reviewers saw no preview" in capsys.readouterr().err
    forge.merge(deployed, SHA[::-1], "ann")
    assert main(previewed) == 0
    assert main(["update", "prod", "--plan", "plan.json", "--record", "record.json"]) == 0
    record = json.loads(Path("record.json").read_text())
    assert record["pullRequests"] == [{"number": 7, "head": SHA[::-1], "approvedBy": ["ann"]}]
    assert (record["commit"], record["result"]) == (deployed, "deployed")
    assert engine.calls == ["preview", "preview", "up"]
    assert verified
