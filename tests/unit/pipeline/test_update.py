"""Updates by a plan, with the verification after them."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline import deployment
from pipeline.__main__ import main
from pipeline.deployment import Refused
from tests.unit.pipeline.fake_engine import LEAK, Engine
from tests.unit.pipeline.repository import commit, git


@pytest.mark.parametrize("command", [["update", "prod", "--plan", "plan.json"], ["renew", "prod"]])
def test_commit_before_the_deployed_one_is_refused(
    engine: Engine,
    verified: list[list[str]],
    deployed: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
    command: list[str],
) -> None:
    deployed()
    before, after = commit(), commit()
    engine.deployed_from(after)
    git("checkout", "-q", before)
    assert main(command) == 1
    assert capsys.readouterr().err.startswith(f"prod was last changed from a later commit, {after}, ")
    assert not engine.calls
    assert not verified


def test_commit_that_is_not_before_the_deployed_one_is_deployed(engine: Engine, verified: list[list[str]]) -> None:
    before, after = commit(), commit()
    git("checkout", "-q", before)
    git("commit", "--allow-empty", "-m", "beside")
    beside = git("rev-parse", "HEAD")
    git("checkout", "-q", after)
    for known in (None, before, after, beside, "f" * 40):
        engine.deployed_from(known)
        assert main(["update", "prod", "--plan", "plan.json"]) == 0
    assert len(verified) == 5


@pytest.mark.parametrize("name", ["missing", "../prod", "", "prod/", "-"])
def test_stack_without_a_file_is_refused(engine: Engine, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["update", "--plan", "plan.json", "--", name])
    assert ended.value.code == 2
    assert f"there is no file Pulumi.{name}.yaml in this directory" in capsys.readouterr().err
    assert not engine.calls


def test_update_applies_the_plan_and_verifies(engine: Engine, verified: list[list[str]]) -> None:
    reports = ["--junit", "verified.xml", "--html", "evidence.html"]
    assert main(["update", "prod", "--plan", "plan.json", *reports]) == 0
    assert "up --stack prod --yes --skip-preview --plan plan.json " in (engine.folder / "calls").read_text()
    assert verified == [["verification", "--read-only", "--json", "--stack", "prod", *reports]]


def test_failed_update_is_reported_and_not_verified(
    engine: Engine, verified: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    engine.answer("up", exit=255, errors=["the cluster does not answer"])
    assert main(["update", "prod", "--plan", "plan.json"]) == 1
    said = capsys.readouterr().err
    assert said == "`pulumi up` failed: prod is not deployed, or only in part\nthe cluster does not answer\n"
    assert not verified


@pytest.mark.parametrize(
    "error",
    [
        LEAK,
        "delete is not allowed by the plan: this resource is constrained to same",
        "expected resource operations for x",
    ],
)
def test_update_that_differs_from_its_plan_is_reported_with_remedy_and_without_values(
    engine: Engine, verified: list[list[str]], capsys: pytest.CaptureFixture[str], error: str
) -> None:
    engine.answer("up", exit=255, output=f"    Secret s  error: {error}\nhunter2", errors=[error])
    assert main(["update", "prod", "--plan", "plan.json"]) == 1
    printed = capsys.readouterr()
    assert "Preview again, and deploy the new plan" in printed.err
    if error == LEAK:
        assert "hunter2" not in printed.out + printed.err
        assert "(values withheld)" in printed.out
        assert "(values withheld)" in printed.err
    assert not verified


PROMISES = [
    {"group": "host orders", "promise": "strangers", "verdict": "failed", "seen": "200,\nserved"},
    {"group": "host orders", "promise": "TLS 1.1", "verdict": "error", "seen": "no answer"},
    {"group": "host orders", "promise": "clients", "verdict": "passed", "seen": "200"},
    {"group": "host orders", "promise": "callers", "verdict": "skipped", "seen": "away"},
]


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (
            json.dumps({"checks": PROMISES}),
            "\n  host orders: strangers: 200, served\n  host orders: TLS 1.1: no answer",
        ),
        (json.dumps({"problems": ["no such stack"]}), "\n  no such stack"),
        ("", ""),
    ],
)
def test_promises_that_are_not_kept_fail_the_update(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, document: str, said: str
) -> None:
    run, failed = subprocess.run, subprocess.CompletedProcess([], 1, document, "")
    monkeypatch.setattr(
        "subprocess.run", lambda command, **options: failed if "verification" in command else run(command, **options)
    )
    with pytest.raises(Refused) as caught:
        deployment.update("prod", Path("plan.json"))
    assert str(caught.value) == f"`python -m verification --read-only --stack prod` does not pass{said}"
    assert engine.calls == ["up"]
