"""Runs of the engine: errors, signals and its history."""

import signal
import sys
from pathlib import Path

import pytest

from pipeline.__main__ import main
from pipeline.engine import deployed_inputs, preview
from settings import ConfigError
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


CUT_OFF = """#!/bin/sh
for each; do case $last in --event-log) log=$each;; esac; last=$each; done
printf '%s\\n%s' '{"diagnosticEvent": {"severity": "error", "message": "it fails"}}' '{"diagnosticEv' > "$log"
"""


def test_event_log_that_was_cut_off_is_reported_in_one_line(engine: Engine) -> None:
    program = engine.folder / "bin/pulumi"
    program.write_text(f"{CUT_OFF}exit 255\n")
    run = preview("prod", Path("plan.json"))
    assert run.errors == ("it fails", "the event log of `pulumi preview` is cut off: messages may be missing")


def test_killed_engine_is_reported_in_one_line(engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    (engine.folder / "bin/pulumi").write_text(f"{CUT_OFF}kill -9 $$\n")
    assert main(["preview", "prod", "--plan", "plan.json"]) == 1
    assert capsys.readouterr().err == (
        "it fails\n`pulumi preview` was ended by signal 9, and may have more to say than its last messages\n"
    )


@pytest.mark.parametrize("answer", ["", "no updates", "[", "{}1", '{"a": 1}', "[1]", "[[]]", '[{"environment": "x"}]'])
def test_odd_history_is_reported_in_one_line(engine: Engine, capsys: pytest.CaptureFixture[str], answer: str) -> None:
    (engine.folder / "history.json").write_text(answer)
    assert main(["update", "prod", "--plan", "plan.json"]) == 2
    said = "`pulumi stack history` printed something else than the pipeline expects; run it by hand to see what\n"
    assert capsys.readouterr().err == said


@pytest.mark.parametrize("answer", ["", "[]", '{"deployment": [1]}', '{"deployment": {"resources": [1]}}'])
def test_odd_state_is_reported_in_one_line(engine: Engine, answer: str) -> None:
    (engine.folder / "export.json").write_text(answer)
    with pytest.raises(ConfigError, match=r"^`pulumi stack export` printed something else"):
        deployed_inputs("prod")
