"""Records of deployments."""

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from pipeline import record
from pipeline.__main__ import main
from pipeline.comment import markdown
from pipeline.forge import Forge, PullRequest
from pipeline.plan import Plan
from tests.unit.pipeline.fake_engine import HEAD, Engine
from tests.unit.pipeline.plans import LEAF, SERVICE, resource
from tests.unit.pipeline.repository import commit
from tests.unit.pipeline.test_comment import preview

RECORD = Path("record.json")
REVIEWS = [{"number": 7, "head": HEAD, "approvedBy": ["bob", "eve"]}]


@pytest.fixture(autouse=True)
def plan(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Plan:  # noqa: ARG001 - in its folder
    """Return the plan in plan.json; the run is one of GitLab's."""
    Path("plan.json").write_text(json.dumps({"resourcePlans": {SERVICE: resource("create"), LEAF: resource("update")}}))
    for name, value in {"GITLAB_CI": "true", "CI_JOB_URL": "https://forge.test/1", "GITLAB_USER_LOGIN": "ann"}.items():
        monkeypatch.setenv(name, value)
    return Plan.read(Path("plan.json"))


def review() -> None:
    """Write the review of a pull request that two accounts approve."""
    forge = Mock(spec=Forge)
    forge.approvers.side_effect = {7: ["bob", "eve"]}.__getitem__
    record.review(RECORD, forge, [PullRequest(7, HEAD)])


def update(*options: str) -> tuple[int, dict[str, Any]]:
    code = main(["update", "prod", "--plan", "plan.json", "--record", str(RECORD), *options])
    return code, json.loads(RECORD.read_text())


def test_record_says_what_was_deployed_and_who_approved_it(verified: list[list[str]], plan: Plan) -> None:
    deployed = commit()
    review()
    code, written = update()
    assert code == 0
    assert verified
    for moment in (written.pop("started"), written.pop("ended")):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", moment)

    assert written == {
        "format": 1,
        "stack": "prod",
        "commit": deployed,
        "run": "https://forge.test/1",
        "by": "ann",
        "plan": {
            "operations": "1 to create, 1 to update",
            "sha256": hashlib.sha256(plan.digests.encode()).hexdigest(),
        },
        "pullRequests": REVIEWS,
        "result": "deployed",
    }


def test_digest_of_the_plan_is_that_of_the_operations_in_the_comment(verified: list[list[str]], plan: Plan) -> None:
    body = markdown(preview("", *plan.operations))
    (listed,) = re.findall(r"<!-- operations of \w+: (.*) -->", body)
    assert update()[1]["plan"]["sha256"] == hashlib.sha256(listed.encode()).hexdigest()
    assert verified


def test_record_names_the_account_that_started_the_run_again(
    verified: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"GITLAB_CI": "", "GITHUB_ACTOR": "ann", "GITHUB_TRIGGERING_ACTOR": "bob"}.items():
        monkeypatch.setenv(name, value)
    assert update()[1]["by"] == "bob"
    assert verified


def test_record_of_a_deployment_by_hand_names_no_pull_request(verified: list[list[str]]) -> None:
    assert "pullRequests" not in update()[1]
    assert verified


def test_second_update_replaces_all_but_the_review(engine: Engine, verified: list[list[str]]) -> None:
    review()
    engine.answer("up", exit=255, errors=["the cluster does not answer"])
    code, first = update()
    assert code == 1
    assert first["result"].splitlines()[1] == "the cluster does not answer"
    engine.answer("up")
    code, second = update()
    assert code == 0
    assert (second["result"], second["pullRequests"]) == ("deployed", first["pullRequests"])
    assert verified


def test_interrupted_update_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pipeline.deployment.update", interrupt)
    code, written = update()
    assert (code, written["result"]) == (130, "interrupted")


def test_renewal_is_recorded_without_a_plan(verified: list[list[str]], deployed: Callable[..., None]) -> None:
    deployed()
    assert main(["renew", "prod", "--record", str(RECORD)]) == 0
    written = json.loads(RECORD.read_text())
    assert (written["stack"], written["result"]) == ("prod", "deployed")
    assert "plan" not in written
    assert verified


def test_update_without_a_record_writes_none(verified: list[list[str]]) -> None:
    assert main(["update", "prod", "--plan", "plan.json"]) == 0
    assert not RECORD.exists()
    assert verified


@pytest.mark.parametrize("content", ["", "[]", "{}", "no JSON"])
def test_file_that_is_no_record_is_refused(engine: Engine, capsys: pytest.CaptureFixture[str], content: str) -> None:
    RECORD.write_text(content)
    assert main(["update", "prod", "--plan", "plan.json", "--record", str(RECORD)]) == 2
    assert capsys.readouterr().err == "record.json: not a record that `previewed` wrote; remove it\n"
    assert not engine.calls
    assert RECORD.read_text() == content
