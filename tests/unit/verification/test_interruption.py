"""Signals, and the cleanup after them."""

import errno
import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from kubernetes.client import ApiException
from rich.console import Console

from tests.unit.deployed import demo_stack
from verification import __main__ as command
from verification.checks import Check
from verification.interruption import Interrupted, interruptible
from verification.stack import DeployedStack


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Exit codes by which the process would have ended at once; no signal is ignored, as under nohup."""
    codes: list[int] = []
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, signal.SIG_DFL) for number in signals}

    def end(code: int) -> None:
        codes.append(code)
        raise SystemExit(code)

    monkeypatch.setattr(os, "_exit", end)
    yield codes
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_first_signal_starts_cleanup_and_second_ends_the_process(
    ended: list[int], number: signal.Signals, code: int
) -> None:
    reported: list[str] = []
    with interruptible(lambda: reported.append("left")):
        with pytest.raises(Interrupted) as caught:
            signal.raise_signal(number)
        assert (caught.value.code, reported, ended) == (code, [], [])
        with pytest.raises(SystemExit):
            signal.raise_signal(number)
    assert (reported, ended) == (["left"], [code])


def test_sighup_stays_ignored_under_nohup() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interruptible(lambda: None):
            signal.raise_signal(signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_ctrl_c_before_the_first_check_is_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def load(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(DeployedStack, "load", load)
    assert command.main([]) == 130
    assert capsys.readouterr().out == "ended by SIGINT\n"


def test_signal_during_cleanup_ends_the_process(ended: list[int]) -> None:
    before = signal.getsignal(signal.SIGINT)
    with interruptible(lambda: None) as begin_cleaning:
        begin_cleaning()
        with pytest.raises(SystemExit):
            signal.raise_signal(signal.SIGINT)
    assert ended == [130]
    assert signal.getsignal(signal.SIGINT) == before


def test_earlier_signal_handlers_are_restored() -> None:
    before = signal.getsignal(signal.SIGINT)
    with interruptible(lambda: None):
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before


class FakeAttacker:
    """Returns the commands of objects that are left, and notes what it is asked to do."""

    where = "target cluster"

    def __init__(self, *left: str, refuses: bool = False) -> None:
        self.left = list(left)
        self.refuses = refuses
        self.done: list[str] = []

    def seek(self) -> None:
        self.done.append("seek")
        if self.refuses:
            raise ApiException(403, "Forbidden")

    def sweep(self) -> None:
        self.seek()
        self.done[-1] = "sweep"

    def remove(self) -> list[str]:
        self.done.append("remove")
        return self.left


@pytest.fixture
def left() -> dict[str, FakeAttacker]:
    """One attacker leaves nothing, the other something."""
    return {
        "target": FakeAttacker(),
        "clients.a": FakeAttacker("cluster of client a: kubectl delete namespace x"),
    }


def run_with(
    monkeypatch: pytest.MonkeyPatch, attackers: dict[str, FakeAttacker], check: Callable[[], str], *options: str
) -> int:
    """Verify a stack with one check by these attackers; return the exit code."""
    stack = replace(demo_stack(), attackers=cast(Any, attackers), read_only="--read-only" in options)
    monkeypatch.setattr(DeployedStack, "load", lambda *_, **__: stack)
    checks = [Check("host a", "it serves", "200", check, "")]
    monkeypatch.setattr(command, "chosen_checks", lambda *_: (stack, checks))
    return command.main(["--timeout", "0", *options])


def signalling(number: signal.Signals) -> Callable[[], str]:
    """Return a check during which a signal arrives."""

    def check() -> str:
        os.kill(os.getpid(), number)
        return "200"

    return check


def test_attackers_are_removed_at_the_end_of_the_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], left: dict[str, FakeAttacker]
) -> None:
    assert run_with(monkeypatch, left, lambda: "200", "--json") == 2
    assert json.loads(capsys.readouterr().out)["left"] == left["clients.a"].left
    assert [attacker.done for attacker in left.values()] == [["sweep", "remove"]] * 2
    assert run_with(monkeypatch, left, lambda: "200") == 2
    assert "left behind in the cluster of client a: kubectl delete namespace x\n" in capsys.readouterr().out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_attackers_are_removed_after_a_signal(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    ended: list[int],
    left: dict[str, FakeAttacker],
    tmp_path: Path,
    number: signal.Signals,
) -> None:
    path = tmp_path / "evidence.html"
    with pytest.raises(SystemExit):
        run_with(monkeypatch, left, signalling(number), "--html", str(path), "--junit", str(tmp_path / "junit.xml"))
    assert f'message="ended by {number.name}: 0 of 1 promises were judged"' in (tmp_path / "junit.xml").read_text()
    assert f"The run was ended by {number.name}: 0 of 1 promises were judged." in path.read_text()
    assert "kubectl delete namespace x" in path.read_text()
    assert [attacker.done for attacker in left.values()] == [["sweep", "remove"]] * 2
    assert ended == [128 + number]
    assert "left behind in the cluster of client a: kubectl delete namespace x\n" in capsys.readouterr().out


def test_signal_just_before_the_cleanup_does_not_prevent_it(
    monkeypatch: pytest.MonkeyPatch, ended: list[int], left: dict[str, FakeAttacker]
) -> None:
    @contextmanager
    def signalled(report_left: Callable[[], None]) -> Iterator[Callable[[], None]]:
        with interruptible(report_left):
            yield lambda: signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(command, "interruptible", signalled)
    with pytest.raises(SystemExit):
        run_with(monkeypatch, left, lambda: "200")
    assert ([attacker.done for attacker in left.values()], ended) == ([["sweep", "remove"]] * 2, [130])


def test_read_only_run_names_what_killed_runs_left_and_removes_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], left: dict[str, FakeAttacker]
) -> None:
    assert run_with(monkeypatch, left, lambda: "200", "--read-only", "--json") == 2
    assert json.loads(capsys.readouterr().out)["left"] == left["clients.a"].left
    assert [attacker.done for attacker in left.values()] == [["seek"]] * 2
    assert run_with(monkeypatch, {"target": FakeAttacker()}, lambda: "200", "--read-only") == 0


@pytest.mark.parametrize("option", ["--read-only", "--timeout=0"])
def test_cluster_that_hides_what_killed_runs_left_is_named_and_verified(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    attackers = {"target": FakeAttacker(refuses=True)}
    assert run_with(monkeypatch, attackers, lambda: "200", option) == 0
    reason = "the API server answered 403: Forbidden"
    printed = capsys.readouterr().out
    assert f"not sought in the target cluster, what a killed run left: {reason}\n" in printed
    assert "PASS it serves" in printed
    assert run_with(monkeypatch, attackers, lambda: "200", option, "--json") == 0
    assert json.loads(capsys.readouterr().out)["notSought"] == [f"target cluster: {reason}"]


@pytest.mark.parametrize(("allowed", "code"), [([], 2), (["--allow-skip", "Killed Run"], 0), (["--allow-skip=no"], 2)])
def test_strict_run_must_know_what_killed_runs_left(
    monkeypatch: pytest.MonkeyPatch, allowed: list[str], code: int
) -> None:
    attackers = {"target": FakeAttacker(refuses=True)}
    assert run_with(monkeypatch, attackers, lambda: "200", "--strict", *allowed) == code


def test_lost_terminal_changes_no_exit_code(
    monkeypatch: pytest.MonkeyPatch, ended: list[int], left: dict[str, FakeAttacker]
) -> None:
    def lose_terminal() -> str:
        monkeypatch.setattr(Console, "print", fail)
        return signalling(signal.SIGHUP)()

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(SystemExit):
        run_with(monkeypatch, left, lose_terminal)
    assert ([attacker.done for attacker in left.values()], ended) == ([["sweep", "remove"]] * 2, [129])


def test_second_signal_ends_the_process_though_nothing_can_be_printed(ended: list[int]) -> None:
    def fail() -> None:
        raise OSError(errno.EIO, "Input/output error")

    with interruptible(fail) as begin_cleaning:
        begin_cleaning()
        with pytest.raises(SystemExit):
            signal.raise_signal(signal.SIGHUP)
    assert ended == [129]
