"""Runs of the engine: errors, signals and its history."""

import signal
import sys
from pathlib import Path

import pytest

from pipeline.__main__ import main
from pipeline.engine import preview
from tests.unit.pipeline.fake_engine import INTERRUPTED, Engine


def test_error_before_the_engine_runs_is_read_from_its_output(engine: Engine) -> None:
    engine.answer("preview", exit=255, output="error: no stack named 'prod' found")
    run = preview("prod", Path("plan.json"))
    assert run.errors == ("error: no stack named 'prod' found",)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_engine_gets_one_sigint_when_only_the_command_is_signalled(engine: Engine, number: signal.Signals) -> None:
    (engine.folder / "bin/pulumi").write_text(INTERRUPTED.format(python=sys.executable, number=number.value))
    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    run = preview("prod", Path("plan.json"))
    assert run.errors == ("error: update cancelled",)
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == before


def test_missing_engine_is_reported(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(engine.folder))
    assert main(["preview", "prod", "--plan", "plan.json"]) == 2
    assert capsys.readouterr().err == "no `pulumi` on PATH\n"


def test_unreadable_history_is_reported(engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    (engine.folder / "bin/pulumi").write_text("#!/bin/sh\necho 'error: no stack named prod' >&2\nexit 6\n")
    assert main(["update", "prod", "--plan", "plan.json"]) == 2
    assert capsys.readouterr().err == "error: no stack named prod\n"
