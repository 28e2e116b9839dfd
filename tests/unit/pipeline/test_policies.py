"""The policy pack of every preview and update, and its config."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline import policies
from pipeline.__main__ import main
from pipeline.policies import PACK, config_of
from tests.unit.pipeline.fake_engine import Engine
from tests.unit.pipeline.plans import renewal

ROOT = Path(__file__).parents[3]
PLAN = ("--plan", "plan.json")


@pytest.mark.parametrize("is_configured", [False, True])
@pytest.mark.parametrize("command", [("preview", "prod", *PLAN), ("update", "prod", *PLAN), ("renew", "prod")])
def test_every_run_of_the_engine_is_judged_by_the_config_of_its_stack(
    engine: Engine,
    verified: list[list[str]],  # noqa: ARG001 - which lets it pass
    deployed: Callable[..., None],
    command: tuple[str, ...],
    is_configured: bool,
) -> None:
    deployed()
    engine.answer("preview", plan=renewal())
    config_of("prod").parent.mkdir()
    config_of("prod" if is_configured else "prod-eu").write_text("{}")
    assert main([*command]) == 0
    calls = (engine.folder / "calls").read_text().splitlines()
    assert len(calls) == (3 if command[0] == "renew" else 1)
    for call in calls:
        assert f" --policy-pack {PACK} " in call
        assert (f" --policy-pack-config {config_of('prod')} " in call) == is_configured


@pytest.mark.parametrize("command", ["preview", "update"])
def test_run_without_a_pack_is_refused(engine: Engine, capsys: pytest.CaptureFixture[str], command: str) -> None:
    PACK.unlink()
    assert main([command, "prod", *PLAN]) == 2
    assert capsys.readouterr().err.startswith(f"{PACK}: no such file, so no policy can judge prod; ")
    assert not engine.calls


def test_pack_is_a_program_of_the_project() -> None:
    assert (ROOT / PACK).stat().st_mode & 0o111


@pytest.mark.parametrize(
    ("path", "concerned"),
    [
        ("policies/mtls_policies/gateways.py", True),
        ("policies/requirements.txt", True),
        ("policies/config/prod.json", True),
        ("policies/config/prod-eu.json", False),
        ("docs/policies.md", False),
    ],
)
def test_policies_concern_the_stacks_that_they_judge(path: str, concerned: bool) -> None:
    assert policies.concern("prod", [path]) == concerned
