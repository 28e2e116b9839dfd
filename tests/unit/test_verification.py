"""How the verification reads answers and tells its verdicts."""

import io
import json
from typing import Any, cast

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from rich.console import Console

from verification import __main__ as command
from verification.checks import Check, Failed, Skipped
from verification.stack import DeployedStack, client_subjects
from verification.tls import foreign_credential

STACK = cast(DeployedStack, None)


def judge(run: Any, timeout: float = 0) -> tuple[command.Verdict, str]:
    output = io.StringIO()
    verdict = command.verify(Console(file=output, width=200), Check("a promise", run, "the log"), STACK, timeout)
    return verdict, output.getvalue()


def fail(_: DeployedStack) -> str:
    raise Failed("503")


def skip(_: DeployedStack) -> str:
    raise Skipped("switched off")


def test_a_kept_promise_says_what_was_seen() -> None:
    assert judge(lambda _: "200 [OK]") == (command.Verdict.PASSED, "PASS a promise: 200 [OK]\n")


def test_a_broken_promise_says_what_was_seen_and_where_to_look() -> None:
    assert judge(fail) == (command.Verdict.FAILED, "FAIL a promise\n     saw: 503\n     look: the log\n")


def test_what_does_not_apply_is_said() -> None:
    assert judge(skip) == (command.Verdict.SKIPPED, "SKIP a promise: switched off\n")


def test_a_promise_may_be_kept_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "PAUSE_SECONDS", 0)
    outcomes = iter([Failed("503"), OSError("reset"), LookupError("no Pod"), None])

    def run(_: DeployedStack) -> str:
        if outcome := next(outcomes):
            raise outcome
        return "200"

    assert judge(run, timeout=60)[0] == command.Verdict.PASSED


def test_a_mistake_of_the_program_is_not_taken_for_a_broken_promise() -> None:
    with pytest.raises(ZeroDivisionError):
        judge(lambda _: 1 / 0)


def test_every_hop_of_the_header_is_read() -> None:
    header = 'Hash=1;Cert="-----";Subject="CN=a,O=b";URI=;DNS=a,By=spiffe://x;Hash=2;Subject="";URI=spiffe://y'
    body = json.dumps({"headers": {"X-Forwarded-Client-Cert": [header]}})
    assert client_subjects(body) == ["CN=a,O=b", ""]
    assert client_subjects(json.dumps({"headers": {}})) == []


def test_a_foreign_credential_differs_from_the_clients_in_its_ca_only() -> None:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "client.example.com")])
    certificate = x509.load_pem_x509_certificate(foreign_credential(subject).certificate)
    assert certificate.subject == certificate.issuer == subject
