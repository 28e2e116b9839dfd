"""How the verification's verdicts are told to programs, and how it ends."""

import json
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast
from xml.etree import ElementTree as ET

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import RequestReceived
from pulumi import automation

from tests.unit.deployed import CA, demo_stack
from verification import __main__ as command
from verification import http2
from verification.answers import Answer
from verification.attacker import Attacker
from verification.checks import Check, Failed, skipped
from verification.interruption import Interrupted, interruptible
from verification.pods import Executed
from verification.sidecars import pods_have_a_sidecar
from verification.stack import DeployedStack, _export_secrets
from verification.tls import Endpoint


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
def test_json_is_all_that_is_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--json", "--timeout", "0"]) == 1
    printed = capsys.readouterr()
    told = json.loads(printed.out)
    assert (told["stack"], told["totals"]) == ("test", {"passed": 1, "failed": 1, "skipped": 1, "error": 0})
    assert told["left"] == []
    first, second, third = told["checks"]
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


def test_junit_tells_each_verdict(stack: DeployedStack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(command, "chosen_checks", lambda *_: (stack, [*CHECKS, UNJUDGED]))
    path = tmp_path / "junit.xml"
    assert command.main(["--junit", str(path), "--timeout", "0"]) == 1
    root = ET.parse(path).getroot()  # noqa: S314 - its own
    assert [(each.get("name"), each.get("tests"), each.get("failures"), each.get("skipped")) for each in root] == [
        ("host a (a.test)", "2", "1", "0"),
        ("client b", "2", "0", "1"),
    ]
    assert root.get("errors") == "1"
    told = {case.get("name"): {each.tag: each for each in case} for case in root.iter("testcase")}
    assert told["it is admitted"]["system-out"].text == "expected: 200\nsaw: 200"
    assert told["it is refused"]["failure"].get("message") == "got 200 <b>"
    assert told["it is refused"]["failure"].text == "expected: 403\nsaw: got 200 <b>\nand more\nlook: the policies"
    assert str(told["it is odd"]["error"].get("message")).startswith("ZeroDivisionError in test_report.py:")
    assert told["it calls"]["skipped"].get("message") == "switched off"


def test_json_says_why_nothing_can_be_judged(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(DeployedStack, "load", lambda *_, **__: demo_stack())
    assert command.main(["--json", "--host", "shop", "--stack", "test"]) == 2
    problems = ["--host: no host shop in the config, which has httpbin"]
    assert json.loads(capsys.readouterr().out) == {"stack": "test", "problems": problems}
    monkeypatch.setattr(command, "chosen_checks", lambda *_: (demo_stack(), CHECKS))
    assert command.main(["--junit", str(tmp_path)]) == 2
    assert "--junit: " in capsys.readouterr().out


def test_promises_are_chosen_by_a_text() -> None:
    chosen = [check.promise for check in CHECKS if command.concerns(check, [], [], ["REFUSED", "calls"])]
    assert chosen == ["it is refused", "it calls"]


# How it ends


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
def test_the_first_signal_leaves_time_to_clean_up_and_the_second_does_not(
    ended: list[int], number: signal.Signals, code: int
) -> None:
    told: list[str] = []
    with interruptible(lambda: told.append("left")):
        with pytest.raises(Interrupted) as caught:
            signal.raise_signal(number)
        assert (caught.value.code, told, ended) == (code, [], [])
        with pytest.raises(SystemExit):
            signal.raise_signal(number)
    assert (told, ended) == (["left"], [code])


def test_sighup_stays_ignored_where_it_was() -> None:
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


def test_a_signal_while_cleaning_ends_at_once(ended: list[int]) -> None:
    before = signal.getsignal(signal.SIGINT)
    with interruptible(lambda: None) as begin_cleaning:
        begin_cleaning()
        with pytest.raises(SystemExit):
            signal.raise_signal(signal.SIGINT)
    assert ended == [130]
    assert signal.getsignal(signal.SIGINT) == before


def test_handlers_of_others_are_given_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with interruptible(lambda: None):
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before


class FakeAttacker:
    """Says what of it is left."""

    def __init__(self, *left: str) -> None:
        self.left = list(left)
        self.removed = 0

    def remove(self) -> list[str]:
        self.removed += 1
        return self.left


@pytest.mark.parametrize("interrupt", [True, False])
def test_what_was_put_into_clusters_is_removed_however_it_ends(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], ended: list[int], interrupt: bool
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
    if interrupt:
        with pytest.raises(SystemExit):
            command.main(["--timeout", "0"])
    else:
        assert command.main(["--timeout", "0", "--json"]) == 2
        assert json.loads(capsys.readouterr().out)["left"] == attackers["clients.a"].left
        assert command.main(["--timeout", "0"]) == 2
    removed = 1 if interrupt else 2
    assert [attacker.removed for attacker in attackers.values()] == [removed, removed]
    assert ended == ([130] if interrupt else [])
    assert "left behind in the cluster of client a: kubectl delete namespaces -l x" in capsys.readouterr().out


# What the rest rests on


def test_an_export_that_fails_tells_nothing_of_what_was_printed() -> None:
    class Command:
        def run(self, command: list[str], *_: object) -> None:
            assert "--show-secrets" in command
            raise automation.CommandError(cast(Any, Executed(1, "the state, with its keys", "")))

    class Workspace:
        pulumi_command, work_dir, env_vars = Command(), ".", None

    with pytest.raises(Failed) as caught:
        _export_secrets(cast(automation.LocalWorkspace, Workspace()), "test")
    assert str(caught.value) == "`pulumi stack export --show-secrets` failed"
    assert caught.value.__suppress_context__


def test_pods_without_a_sidecar_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def pod(name: str, *containers: str, init: tuple[str, ...] = ()) -> Any:
        spec = {"containers": [_named(each) for each in containers], "init_containers": [_named(each) for each in init]}
        return _named(name, spec=_named("", **spec), metadata=_named(name))

    stack = demo_stack()
    attackers = {"target": Attacker("target cluster", cast(Any, None), "mtls", "", "")}
    object.__setattr__(stack, "attackers", attackers)
    found = [pod("a", "httpbin", "istio-proxy"), pod("b", "httpbin", init=("istio-proxy",))]
    monkeypatch.setattr("verification.pods.ready", lambda *_: found)
    assert pods_have_a_sidecar(stack, "target") == "2 of 2"
    found.append(pod("c", "httpbin"))
    with pytest.raises(Failed, match="Pod c in namespace mtls has no sidecar"):
        pods_have_a_sidecar(stack, "target")
    found.clear()
    with pytest.raises(Failed, match="no Pod of the demo is ready in namespace mtls"):
        pods_have_a_sidecar(stack, "target")


def _named(name: str, **more: Any) -> Any:
    class Thing:
        pass

    thing = Thing()
    thing.__dict__.update({"name": name, **more})
    return thing


def serve_http2(connection: socket.socket, answer: Callable[[H2Connection, int], None]) -> list[tuple[str, str]]:
    state = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
    state.initiate_connection()
    seen: list[tuple[str, str]] = []
    while not seen:
        connection.sendall(state.data_to_send())
        for event in state.receive_data(connection.recv(1 << 16)):
            if isinstance(event, RequestReceived):
                seen = [(str(name), str(value)) for name, value in event.headers or ()]
                answer(state, event.stream_id or 0)
    connection.sendall(state.data_to_send())
    return seen


def asked_by_http2(answer: Callable[[H2Connection, int], None]) -> tuple[Answer | str, list[tuple[str, str]]]:
    ours, theirs = socket.socketpair()
    seen: list[tuple[str, str]] = []
    thread = threading.Thread(target=lambda: seen.extend(serve_http2(theirs, answer)))
    thread.start()
    with ours, theirs:
        try:
            return http2.request(cast(Any, ours), "GET", "/headers", "a.test"), seen
        except ConnectionError as error:
            return str(error), seen
        finally:
            thread.join()


def test_a_request_by_http2_is_answered() -> None:
    def answer(state: H2Connection, stream: int) -> None:
        state.send_headers(stream, [(":status", "403"), ("server", "istio-envoy")])
        state.send_data(stream, b"RBAC: access denied", end_stream=True)

    seen, request = asked_by_http2(answer)
    assert seen == Answer(403, {"server": "istio-envoy"}, "RBAC: access denied")
    assert request == [(":method", "GET"), (":scheme", "https"), (":authority", "a.test"), (":path", "/headers")]


def test_a_stream_that_is_reset_is_no_answer() -> None:
    seen, _ = asked_by_http2(lambda state, stream: state.reset_stream(stream, 7))
    assert seen == "HTTP/2 ended by StreamReset, error 7"


def test_a_gateway_without_http2_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    class Connection:
        def selected_alpn_protocol(self) -> None:
            return None

        def close(self) -> None:
            pass

    monkeypatch.setattr(Endpoint, "connect", lambda *_, **__: Connection())
    with pytest.raises(Failed, match="the gateway does not offer HTTP/2"):
        Endpoint("a.test", "", CA).request_http2("GET", "/", None)
