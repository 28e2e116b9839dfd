"""Previews: the plan, the comment, and the policy pack."""

from pathlib import Path

import pytest

from pipeline import comment
from pipeline.__main__ import main
from pipeline.plan import Plan
from tests.unit.pipeline.fake_engine import HEAD, Engine
from tests.unit.pipeline.plans import SERVICE, resource


def test_preview_saves_the_plan_and_writes_the_comment(engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    engine.answer("preview", plan={SERVICE: resource("create")}, output="+ Service: (create)")
    assert main(["preview", "prod", "--plan", "plan.json", "--comment", "comment.md", "--head", HEAD]) == 0
    (operation,) = Plan.read(Path("plan.json")).operations
    assert comment.previewed(Path("comment.md").read_text(), HEAD) == frozenset({operation.digest})
    assert "+ Service: (create)" in capsys.readouterr().out
    assert "preview --stack prod --diff --save-plan plan.json " in (engine.folder / "calls").read_text()


@pytest.mark.parametrize("head", ["main", HEAD[:7], f"{HEAD} -->"])
def test_head_that_is_no_full_sha_is_refused(engine: Engine, capsys: pytest.CaptureFixture[str], head: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["preview", "prod", "--plan", "plan.json", "--head", head])
    assert ended.value.code == 2
    assert "--head: " in capsys.readouterr().err
    assert not engine.calls


def test_failing_preview_writes_a_comment_too(engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    engine.answer("preview", exit=255, errors=["<{%reset%}>kyma-mtls:target.context: no such context<{%reset%}>"])
    assert main(["preview", "prod", "--plan", "plan.json", "--comment", "comment.md"]) == 1
    assert capsys.readouterr().err == "kyma-mtls:target.context: no such context\n"
    assert "no such context" in Path("comment.md").read_text()


def test_preview_is_judged_by_the_policy_pack(engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    judged = {"policyName": "gateway-tls", "resourceUrn": SERVICE, "message": "TLS 1.2 at least\n"}
    levels = [{**judged, "enforcementLevel": level} for level in ("mandatory", "advisory")]
    engine.answer("preview", exit=1, errors=["preview failed"], judged=levels)
    assert main(["preview", "prod", "--plan", "plan.json"]) == 1
    assert capsys.readouterr().err == "preview failed\npolicy gateway-tls: target-orders: TLS 1.2 at least\n"
