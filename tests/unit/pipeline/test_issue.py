"""The issues of the nightly runs, on a forge that keeps comments and issues in memory."""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipeline import issue, this_run
from pipeline.__main__ import main
from pipeline.forge import Post
from pipeline.issue import LONGEST_PROBLEM, MOST_PROBLEMS, MOST_SOLVED, NIGHTS, PATIENCE

LONGEST_ISSUE = 65_536
"""In characters, of GitHub."""
ENDING = "kyma-mtls:clients.acme.certificateAuthority: ends on 2026-12-24 00:00 UTC"
DRIFT = "  update Service target-orders"
NOW = datetime(2026, 11, 29, 4, 17, tzinfo=UTC)


class Remembering:
    """A repository with one open issue, or none; `told` has each new issue and each comment, which notify somebody."""

    def __init__(self) -> None:
        self.open: Post | None = None
        self.told: list[str] = []
        self.succeeded: datetime | None = None

    def issue(self, marker: str) -> Post | None:
        return self.open if self.open and self.open.body.startswith(f"{marker}\n") else None

    def open_issue(self, title: str, body: str) -> Post:
        self.open = Post(1, "bot", body, "https://hub.test/issues/1")
        self.told.append(title)
        return self.open

    def edit_issue(self, issue: Post, body: str) -> None:
        self.open = replace(issue, body=body)

    def comment_on_issue(self, _: Post, body: str) -> None:
        self.told.append(body)

    def close_issue(self, issue: Post) -> None:
        assert issue.number == 1
        self.open = None

    def last_night(self) -> datetime | None:
        return self.succeeded


@pytest.fixture
def forge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Remembering:
    monkeypatch.chdir(tmp_path)
    for stack in ("prod", "prod-eu"):
        Path(f"Pulumi.{stack}.yaml").touch()
    made = Remembering()
    monkeypatch.setattr(this_run, "forge", lambda _: made)
    return made


def report(*problems: str, stack: str = "prod") -> None:
    """Report the problems of a night, as the workflow does."""
    Path("problems.txt").write_text("".join(f"{each}\n" for each in problems))
    assert main(["issue", stack, "--problems", "problems.txt"]) == 0


def items(forge: Remembering) -> list[str]:
    assert forge.open
    return re.findall(r"^- \[.*", forge.open.body, re.MULTILINE)


def test_first_problem_opens_an_issue_that_lists_it(forge: Remembering) -> None:
    report(ENDING, DRIFT)
    assert forge.told == ["Stack prod: the nightly run has problems"]
    assert items(forge) == [f"- [ ] `{ENDING}`", f"- [ ] `{DRIFT.strip()}`"]


def test_problem_that_stays_is_told_once(forge: Remembering) -> None:
    for _ in range(3):
        report(ENDING)
    assert len(forge.told) == 1
    assert items(forge) == [f"- [ ] `{ENDING}`"]


def test_new_problem_is_a_comment_and_one_that_is_gone_is_ticked_off(forge: Remembering) -> None:
    report(ENDING)
    report(DRIFT)
    assert items(forge) == [f"- [ ] `{DRIFT.strip()}`", f"- [x] `{ENDING}`"]
    (_, comment) = forge.told
    assert DRIFT.strip() in comment
    assert ENDING not in comment


def test_problem_that_comes_back_is_told_again(forge: Remembering) -> None:
    for problem in (ENDING, DRIFT, ENDING):
        report(problem)
    assert items(forge) == [f"- [ ] `{ENDING}`", f"- [x] `{DRIFT.strip()}`"]
    assert ENDING in forge.told[-1]
    assert len(forge.told) == 3


def test_night_without_problems_closes_the_issue_of_its_stack_only(
    forge: Remembering, capsys: pytest.CaptureFixture[str]
) -> None:
    report(ENDING)
    report(stack="prod-eu")
    assert forge.open
    assert capsys.readouterr().out.endswith("no issue is open: Stack prod-eu: the nightly run has problems\n")
    report()
    assert not forge.open
    assert len(forge.told) == 1
    assert capsys.readouterr().out == "https://hub.test/issues/1\n"


def test_run_that_wrote_nothing_is_a_problem(forge: Remembering) -> None:
    assert main(["issue", "prod", "--problems", "missing.txt"]) == 0
    assert items(forge) == [f"- [ ] `{issue.NO_MESSAGE}`"]


@pytest.mark.parametrize("problem", ["`` @team [x](https://x.test) <b>", "- [x] `forged`", "<!-- kyma-mtls -->"])
def test_problem_is_quoted_so_that_it_is_no_markdown(forge: Remembering, problem: str) -> None:
    report(problem)
    report(problem)
    (item,) = items(forge)
    assert re.fullmatch(r"- \[ \] `[^`]*`", item)
    assert len(forge.told) == 1


def test_issue_has_no_more_than_a_forge_takes(forge: Remembering) -> None:
    def many(kind: str) -> Sequence[str]:
        return [f"{kind} {number} {'x' * 10 * LONGEST_PROBLEM}" for number in range(2 * MOST_PROBLEMS)]

    report(*many("first"))
    report(*many("second"))
    assert forge.open
    assert len(forge.open.body) < LONGEST_ISSUE
    assert len(forge.told[-1]) < LONGEST_ISSUE
    assert len(items(forge)) == MOST_PROBLEMS + MOST_SOLVED
    assert "At most 100 problems are listed" in forge.open.body
    report(*many("second"))
    assert len(forge.told) == 2


def test_issue_links_to_the_run(forge: Remembering, monkeypatch: pytest.MonkeyPatch) -> None:
    run = {"GITHUB_SERVER_URL": "https://hub.test", "GITHUB_REPOSITORY": "team/mesh", "GITHUB_RUN_ID": "42"}
    for name, value in run.items():
        monkeypatch.setenv(name, value)
    report(ENDING)
    assert forge.open
    assert "(https://hub.test/team/mesh/actions/runs/42)" in forge.open.body


@pytest.mark.parametrize(
    ("last", "said"),
    [
        (NOW - PATIENCE, "no nightly run has succeeded since 2026-11-27 22:17 UTC: "),
        (None, "no nightly run has succeeded yet: "),
    ],
)
def test_nights_without_a_success_are_told_once(forge: Remembering, last: datetime | None, said: str) -> None:
    there: Any = forge
    forge.succeeded = last
    for hours in range(3):
        issue.watch(there, NOW + timedelta(hours=hours))
    assert forge.told == [NIGHTS.title]
    assert items(forge)[0].startswith(f"- [ ] `{said}")


def test_success_of_the_last_night_closes_the_issue(forge: Remembering) -> None:
    there: Any = forge
    issue.watch(there, NOW)
    forge.succeeded = NOW
    issue.watch(there, NOW + PATIENCE - timedelta(minutes=1))
    assert not forge.open


def test_watch_asks_the_repository_of_the_run(forge: Remembering) -> None:
    forge.succeeded = datetime.now(UTC)
    assert main(["watch"]) == 0
    assert not forge.told
