"""Skipped promises that are errors."""

import json

import pytest

from tests.unit.deployed import demo_stack
from tests.unit.verification.checking import check_of, raising
from verification import __main__ as command
from verification.checks import Failed, Skipped
from verification.stack import DeployedStack

CHECKS = [
    check_of(lambda: "200", promise="it is served"),
    check_of(raising(Skipped("only the partner has its key")), promise="the partner is admitted"),
    check_of(raising(Skipped("--read-only: it would create Pods")), promise="a caller is refused"),
]


@pytest.fixture(autouse=True)
def stack(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a stack on which these checks are tried."""
    deployed = demo_stack()
    monkeypatch.setattr(DeployedStack, "load", lambda *_, **__: deployed)
    monkeypatch.setattr(command, "chosen_checks", lambda *_: (deployed, CHECKS))


@pytest.mark.parametrize(
    ("options", "code", "skipped", "errors"),
    [
        ([], 0, 2, 0),
        (["--strict"], 2, 0, 2),
        (["--strict", "--allow-skip", "Partner is Admitted"], 2, 1, 1),
        (["--strict", "--allow-skip", "the partner", "Read-Only"], 0, 2, 0),
        (["--strict", "--allow-skip", "the partner", "--allow-skip=--read-only"], 0, 2, 0),
    ],
)
def test_skipped_promise_is_an_error_unless_it_is_allowed(
    capsys: pytest.CaptureFixture[str], options: list[str], code: int, skipped: int, errors: int
) -> None:
    assert command.main(["--json", *options]) == code
    printed = capsys.readouterr()
    report = json.loads(printed.out)
    assert report["totals"] == {"passed": 1, "failed": 0, "skipped": skipped, "error": errors}
    unjudged = [check["seen"] for check in report["checks"] if check["verdict"] == "error"]
    assert all(seen.startswith("not tried (--strict): ") for seen in unjudged)
    assert printed.err.count("????") == errors


def test_broken_promise_outweighs_a_skipped_one(monkeypatch: pytest.MonkeyPatch) -> None:
    checks = [*CHECKS, check_of(raising(Failed("503")))]
    monkeypatch.setattr(command, "chosen_checks", lambda *_: (demo_stack(), checks))
    assert command.main(["--strict", "--timeout", "0"]) == 1


def test_allowed_skips_need_strict(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--allow-skip", "partner"]) == 2
    assert capsys.readouterr().out == (
        "cannot verify: --allow-skip: without --strict, every promise may be skipped; add --strict\n"
    )


@pytest.mark.parametrize("text", ["", " "])
def test_empty_text_does_not_allow_every_skip(capsys: pytest.CaptureFixture[str], text: str) -> None:
    assert command.main(["--strict", "--allow-skip", "partner", text]) == 2
    assert capsys.readouterr().out.startswith("cannot verify: --allow-skip: an empty text is in every promise; name")
