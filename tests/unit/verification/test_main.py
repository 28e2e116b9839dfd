"""The command: which checks are chosen, and its exit codes."""

import re

import pytest

from settings import ConfigError
from tests.unit.deployed import (
    ACME,
    BILLING,
    HTTPBIN,
    ORDERS,
    TARGET,
    WAREHOUSE,
    demo_stack,
    stack_of,
)
from tests.unit.verification.checking import check_of, raising
from tests.unit.verification.promises import (
    FIRST,
    way_out,
)
from verification import __main__ as command
from verification.checks import Check, Failed, Skipped
from verification.stack import DeployedStack

BASE = {
    *FIRST,
    *(f"client {name} is {verdict}" for name in ("warehouse", "billing") for verdict in ("admitted", "refused")),
    *map(way_out, ("httpbin", "orders")),
}


@pytest.mark.parametrize(
    ("hosts", "clients", "expected"),
    [
        (["orders"], [], [*FIRST, "client warehouse is admitted", "client billing is refused", way_out("orders")]),
        ([], ["billing"], ["client billing is admitted", "client billing is refused", way_out("httpbin")]),
        (["orders"], ["billing"], ["client billing is refused"]),
    ],
)
def test_checks_are_chosen_by_host_and_client(
    monkeypatch: pytest.MonkeyPatch, hosts: list[str], clients: list[str], expected: list[str]
) -> None:
    monkeypatch.setattr(DeployedStack, "connect", lambda stack, *_, **__: stack)
    stack = stack_of(
        target=TARGET,
        clients={"warehouse": WAREHOUSE, "billing": BILLING},
        hosts={
            "httpbin": {**HTTPBIN, "clients": ["warehouse", "billing"]},
            "orders": {**ORDERS, "clients": ["warehouse"]},
        },
    )
    _, checks = command.chosen_checks(stack, hosts, clients)
    assert [check.promise for check in checks if check.promise in BASE] == expected
    assert all(check.host in hosts for check in checks if hosts), "the attacks are chosen alike"
    assert all(check.client in clients for check in checks if clients)


@pytest.mark.parametrize(
    ("hosts", "clients", "message"),
    [
        (["shop"], [], "--host: no host shop in the config, which has httpbin"),
        ([], ["shop"], "--client: no client shop in the config, which has warehouse"),
    ],
)
def test_unknown_name_is_refused(hosts: list[str], clients: list[str], message: str) -> None:
    stack = stack_of(target=TARGET, clients={"warehouse": WAREHOUSE}, hosts={"httpbin": HTTPBIN})
    with pytest.raises(ConfigError, match=message):
        command.chosen_checks(stack, hosts, clients)


@pytest.mark.parametrize(
    ("checks", "code", "last"),
    [
        ([check_of(lambda: "200"), check_of(raising(Skipped("off")))], 0, "1 passed, 0 failed, 1 skipped"),
        ([check_of(lambda: "200"), check_of(raising(Failed("503")))], 1, "1 passed, 1 failed, 0 skipped"),
        ([check_of(raising(KeyError("a")))], 2, "0 passed, 0 failed, 0 skipped, 1 could not be judged"),
        (
            [check_of(raising(KeyError("a"))), check_of(raising(Failed("503")))],
            1,
            "0 passed, 1 failed, 0 skipped, 1 could not be judged",
        ),
    ],
)
def test_exit_code_shows_whether_a_promise_is_broken(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], checks: list[Check], code: int, last: str
) -> None:
    stack = demo_stack()
    monkeypatch.setattr(DeployedStack, "load", lambda *_, **__: stack)
    monkeypatch.setattr(command, "chosen_checks", lambda *_: (stack, checks))
    assert command.main(["--timeout", "0"]) == code
    assert capsys.readouterr().out.splitlines()[-1] == last


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--host", "httpbin", "--client", "acme"], "stack test has no promise that matches these options"),
        (["--host", "a", "b", "--host", "c"], "--host: no host a or b or c in the config, which has httpbin"),
    ],
)
def test_exit_code_is_2_if_nothing_can_be_judged(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    monkeypatch.setattr(DeployedStack, "load", lambda *_, **__: demo_stack(clients={"acme": ACME}))
    assert command.main(arguments) == 2
    assert capsys.readouterr().out == f"cannot verify: {message}\n"


def test_unexpected_error_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def load(*_: object, **__: object) -> None:
        raise KeyError("a")

    monkeypatch.setattr(DeployedStack, "load", load)
    assert command.main([]) == 2
    assert re.fullmatch(r"cannot verify: KeyError in test_main\.py:\d+\n", capsys.readouterr().out)


def test_help_lists_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["--help"])
    assert "1  a promise is broken" in capsys.readouterr().out
