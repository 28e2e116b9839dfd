"""Verdicts as JSON and as JUnit XML."""

import errno
import json
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from settings import ConfigError
from tests.unit.deployed import demo_stack
from verification import __main__ as command
from verification.checks import Check, Failed, skipped
from verification.evidence.page import page
from verification.stack import DeployedStack


def failing() -> str:
    raise Failed("got 200 <b>\nand more")


CHECKS = [
    Check("host a (a.test)", "it is admitted", "200", lambda: "200", "the log", "a", "b"),
    Check("host a (a.test)", "it is refused", "403", failing, "the policies", "a"),
    skipped("client b", "it calls", "switched off", client="b"),
]
UNJUDGED = Check("client b", "it is odd", "200", lambda: str(1 / 0), "the log")


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> DeployedStack:
    """Return a stack on which these checks are tried."""
    deployed = demo_stack()
    monkeypatch.setattr(DeployedStack, "load", lambda *_, **__: deployed)
    monkeypatch.setattr(command, "chosen_checks", lambda *_: (deployed, CHECKS))
    return deployed


@pytest.mark.usefixtures("stack")
def test_stdout_has_only_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--json", "--timeout", "0"]) == 1
    printed = capsys.readouterr()
    report = json.loads(printed.out)
    assert (report["stack"], report["totals"]) == ("test", {"passed": 1, "failed": 1, "skipped": 1, "error": 0})
    assert report["left"] == []
    first, second, third = report["checks"]
    assert {key: first[key] for key in first if key != "seconds"} == {
        "group": "host a (a.test)",
        "host": "a",
        "client": "b",
        "promise": "it is admitted",
        "verdict": "passed",
        "expected": "200",
        "seen": "200",
        "look": "the log",
    }
    assert (second["verdict"], second["expected"], second["seen"]) == ("failed", "403", "got 200 <b>\nand more")
    assert (third["verdict"], third["host"], third["seen"]) == ("skipped", None, "switched off")
    assert "1 passed, 1 failed, 1 skipped" in printed.err


def test_junit_has_each_verdict(stack: DeployedStack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(command, "chosen_checks", lambda *_: (stack, [*CHECKS, UNJUDGED]))
    path = tmp_path / "junit.xml"
    assert command.main(["--junit", str(path), "--timeout", "0"]) == 1
    root = ET.parse(path).getroot()  # noqa: S314 - its own
    assert [(each.get("name"), each.get("tests"), each.get("failures"), each.get("skipped")) for each in root] == [
        ("host a (a.test)", "2", "1", "0"),
        ("client b", "2", "0", "1"),
    ]
    assert root.get("errors") == "1"
    cases = {case.get("name"): {each.tag: each for each in case} for case in root.iter("testcase")}
    assert cases["it is admitted"]["system-out"].text == "expected: 200\nsaw: 200"
    assert cases["it is refused"]["failure"].get("message") == "got 200 <b>"
    assert cases["it is refused"]["failure"].text == "expected: 403\nsaw: got 200 <b>\nand more\nlook: the policies"
    assert str(cases["it is odd"]["error"].get("message")).startswith("ZeroDivisionError in test_report.py:")
    assert cases["it calls"]["skipped"].get("message") == "switched off"


def test_json_has_the_problems_that_prevent_a_verification(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(DeployedStack, "load", lambda *_, **__: demo_stack())
    assert command.main(["--json", "--host", "shop", "--stack", "test"]) == 2
    problems = ["--host: no host shop in the config, which has httpbin"]
    report = json.loads(capsys.readouterr().out)
    assert (report["stack"], report["exitCode"], report["problems"]) == ("test", 2, problems)
    assert report["options"]["hosts"] == ["shop"]
    monkeypatch.setattr(command, "chosen_checks", lambda *_: (demo_stack(), CHECKS))
    assert command.main(["--junit", str(tmp_path)]) == 2
    printed = capsys.readouterr()
    assert "--junit: " in printed.out
    assert "--junit: " not in printed.err, "it is said once"


def test_junit_has_the_problems_that_prevent_a_verification(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(DeployedStack, "load", lambda *_, **__: demo_stack())
    path = tmp_path / "junit.xml"
    path.write_text("of an earlier run")
    assert command.main(["--junit", str(path), "--host", "shop"]) == 2
    root = ET.parse(path).getroot()  # noqa: S314 - its own
    assert (root.get("tests"), root.get("errors")) == ("1", "1")
    (error,) = root.iter("error")
    assert str(error.get("message")).startswith("--host: no host shop in the config")


@pytest.mark.usefixtures("stack")
def test_html_is_the_page_of_the_document_that_is_printed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "evidence.html"
    assert command.main(["--html", str(path), "--json", "--timeout", "0"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert path.read_text() == page(document)
    assert (document["promises"], document["ended"], document["exitCode"]) == (3, None, 1)
    assert document["ways"] == [{"client": "warehouse", "host": "httpbin"}]
    assert {"hosts", "clients", "certificates", "began", "seconds", "commit", "versions"} <= set(document)


def test_html_says_what_prevents_a_verification(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "evidence.html"
    monkeypatch.setattr(DeployedStack, "load", lambda *_, **__: demo_stack())
    assert command.main(["--html", str(path), "--host", "shop"]) == 2
    assert "--host: no host shop in the config" in path.read_text()


def test_html_that_cannot_be_written_is_found_before_the_stack_is_read(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(DeployedStack, "load", lambda *_, **__: pytest.fail("the stack was read"))
    assert command.main(["--html", str(tmp_path / "missing/evidence.html"), "--json"]) == 2
    printed = capsys.readouterr()
    assert "cannot verify: --html: " in printed.err
    (problem,) = json.loads(printed.out)["problems"]
    assert problem.endswith("No such file or directory; name a file in a directory that you may write to")


def failing_with(error: Exception) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.usefixtures("stack")
@pytest.mark.parametrize(
    ("broken", "error", "said"),
    [
        ("verification.evidence.file.write", ConfigError("--html: F: No space left"), "--html: F: No space left"),
        ("verification.reports.page", KeyError("SECRET"), "--html: {html}: KeyError in "),
        ("verification.report.ET.ElementTree.write", FULL, "--junit: {junit}: No space left on device"),
        ("verification.reports.as_json", FULL, "--json: No space left on device"),
    ],
)
def test_report_that_cannot_be_written_costs_no_other(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    broken: str,
    error: Exception,
    said: str,
) -> None:
    monkeypatch.setattr(broken, failing_with(error))
    html, junit = tmp_path / "evidence.html", tmp_path / "junit.xml"
    assert command.main(["--html", str(html), "--junit", str(junit), "--json", "--timeout", "0"]) == 2
    printed = capsys.readouterr()
    (line,) = [each for each in printed.err.splitlines() if each.startswith("report not written: ")]
    assert line.startswith(f"report not written: {said.format(html=html, junit=junit)}")
    assert "SECRET" not in line
    if not said.startswith("--json"):
        assert len(json.loads(printed.out)["checks"]) == len(CHECKS)
    if not said.startswith("--junit"):
        assert "it is admitted" in junit.read_text()
    assert html.exists() == (not said.startswith("--html"))


@pytest.mark.usefixtures("stack")
def test_full_stdout_costs_no_file(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with Path("/dev/full").open("w") as full, monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", full)
        assert command.main(["--junit", str(tmp_path / "junit.xml"), "--json", "--timeout", "0"]) == 2
    assert "report not written: --json: No space left on device\n" in capsys.readouterr().err
    assert "it is admitted" in (tmp_path / "junit.xml").read_text()


def test_promises_are_chosen_by_a_text() -> None:
    chosen = [check.promise for check in CHECKS if command.concerns(check, [], [], ["REFUSED", "calls"])]
    assert chosen == ["it is refused", "it calls"]
