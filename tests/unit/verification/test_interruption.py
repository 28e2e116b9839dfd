"""Signals, and the cleanup after them."""

import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

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
    """Returns the commands of objects that are left."""

    def __init__(self, *left: str) -> None:
        self.left = list(left)
        self.removed = 0

    def remove(self) -> list[str]:
        self.removed += 1
        return self.left


@pytest.mark.parametrize("interrupt", [True, False])
def test_attackers_are_removed_at_any_end_of_the_run(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    ended: list[int],
    tmp_path: Path,
    interrupt: bool,
) -> None:
    attackers = {
        "target": FakeAttacker(),
        "clients.a": FakeAttacker("cluster of client a: kubectl delete namespaces -l x"),
    }
    stack = demo_stack()
    object.__setattr__(stack, "attackers", attackers)
    called = threading.Event()

    def check() -> str:
        called.set()
        if interrupt:
            os.kill(os.getpid(), signal.SIGINT)
        return "200"

    checks = [Check("host a", "it serves", "200", check, "")]
    monkeypatch.setattr(DeployedStack, "load", lambda *_, **__: stack)
    monkeypatch.setattr(command, "chosen_checks", lambda *_: (stack, checks))
    path = tmp_path / "evidence.html"
    if interrupt:
        with pytest.raises(SystemExit):
            command.main(["--timeout", "0", "--html", str(path)])
        assert "The run was ended by SIGINT: 0 of 1 promises were judged." in path.read_text()
        assert "kubectl delete namespaces -l x" in path.read_text()
    else:
        assert command.main(["--timeout", "0", "--json"]) == 2
        assert json.loads(capsys.readouterr().out)["left"] == attackers["clients.a"].left
        assert command.main(["--timeout", "0"]) == 2
    removed = 1 if interrupt else 2
    assert [attacker.removed for attacker in attackers.values()] == [removed, removed]
    assert ended == ([130] if interrupt else [])
    assert "left behind in the cluster of client a: kubectl delete namespaces -l x" in capsys.readouterr().out
