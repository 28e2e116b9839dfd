"""Previews, updates and renewals, with programs that answer in the place of the engine and of the verification."""

import json
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from pipeline import comment, deployment, expiry
from pipeline.__main__ import main
from pipeline.deployment import Refused
from pipeline.github import PullRequest, Repository
from pipeline.plan import Plan
from tests.unit.deployed import ACME, HTTPBIN, KYMA_GATEWAY, PARTNER, TARGET, WAREHOUSE, outputs_of, settings_of
from tests.unit.pipeline.test_connections import BASE, ORDERS, text_of
from tests.unit.pipeline.test_plan import LEAF, SECRET, SERVICE, renewal, resource
from tests.unit.pki import Holder, issue
from verification.outputs import read_outputs
from verification.stack import DeployedStack
from verification.tls import Endpoint

PULUMI = """#!{python}
import json, pathlib, sys
folder = pathlib.Path({folder!r})
if sys.argv[1:3] == ["stack", "history"]:
    print((folder / "history.json").read_text())
    sys.exit()
said = json.loads((folder / "answers.json").read_text())[sys.argv[1]]
with (folder / "calls").open("a") as calls:
    calls.write(" ".join(sys.argv[1:]) + "\\n")
value = lambda option: pathlib.Path(sys.argv[sys.argv.index(option) + 1])
if "plan" in said:
    value("--save-plan").write_text(json.dumps({{"resourcePlans": said["plan"]}}))
events = [{{"diagnosticEvent": {{"severity": "error", "message": each}}}} for each in said.get("errors", [])]
events += [{{"policyEvent": each}} for each in said.get("judged", [])]
value("--event-log").write_text("".join(json.dumps(each) + "\\n" for each in [{{"preludeEvent": {{}}}}, *events]))
print(said.get("output", ""))
sys.exit(said.get("exit", 0))
"""
INTERRUPTED = """#!{python}
import os, signal, sys, time

def interrupted(*_):
    signal.signal(signal.SIGINT, lambda *_: os._exit(3))  # a second one
    for _ in range(3):
        os.kill(os.getppid(), {number})
        time.sleep(0.1)
    print("error: update cancelled")
    sys.exit(255)

signal.signal(signal.SIGINT, interrupted)
while True:  # till it is interrupted itself
    os.kill(os.getppid(), {number})
    time.sleep(0.1)
"""
"""An engine that signals nobody but the command, also before that knows it, and ends only by a SIGINT of its own."""
HEAD = "3d3c42e5aac5ba805825da76410c181273ba90b1"
LEAK = "urn violates plan: properties changed: ~~input[{&{{hunter2}}}!={x}]"


class Engine:
    """A `pulumi` on PATH that answers as it is told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.answers: dict[str, Any] = {"preview": {"plan": {}}, "up": {}}
        program = folder / "bin/pulumi"
        program.parent.mkdir()
        program.write_text(PULUMI.format(python=sys.executable, folder=str(folder)))
        program.chmod(0o755)

    def answer(self, command: str, **said: Any) -> None:
        self.answers[command] = said
        (self.folder / "answers.json").write_text(json.dumps(self.answers))

    def deployed_from(self, commit: str | None) -> None:
        """Let the stack have been changed from a commit before, or never."""
        updates = [{"kind": "update", "environment": {"git.head": commit}}] if commit else []
        (self.folder / "history.json").write_text(json.dumps(updates))

    @property
    def calls(self) -> list[str]:
        calls = self.folder / "calls"
        return [line.split()[0] for line in calls.read_text().splitlines()] if calls.exists() else []


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """Answer previews without changes; the current directory has the files of the stack prod."""
    monkeypatch.chdir(tmp_path)
    Path("Pulumi.prod.yaml").write_text(text_of(**BASE))
    made = Engine(tmp_path)
    made.answer("preview", plan={})
    made.deployed_from(None)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    return made


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Let the verification pass; return how it was called."""
    calls: list[list[str]] = []
    run = subprocess.run

    def answer(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        if "verification" not in command:
            return run(command, **options)
        calls.append(command[2:])
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr("subprocess.run", answer)
    return calls


@pytest.fixture
def deployed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Say of the stack, when it is read after an update, that it is deployed with these expiry dates."""

    def say(**ends: str) -> None:
        settings = settings_of(target=TARGET, clients={"warehouse": WAREHOUSE}, hosts={"httpbin": HTTPBIN})
        outputs = read_outputs("prod", outputs_of(settings) | ends, settings)
        stack = DeployedStack("prod", settings, outputs)
        monkeypatch.setattr(DeployedStack, "load", lambda *_, **__: stack)

    say()
    return say


def test_preview_saves_the_plan_and_writes_the_comment(engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    engine.answer("preview", plan={SERVICE: resource("create")}, output="+ Service: (create)")
    assert main(["preview", "prod", "--plan", "plan.json", "--comment", "comment.md", "--head", HEAD]) == 0
    (operation,) = Plan.read(Path("plan.json")).operations
    assert comment.previewed(Path("comment.md").read_text(), HEAD) == frozenset({operation.digest})
    assert "+ Service: (create)" in capsys.readouterr().out
    assert (
        "preview --stack prod --diff --save-plan plan.json --non-interactive" in (engine.folder / "calls").read_text()
    )


@pytest.mark.parametrize("head", ["main", HEAD[:7], f"{HEAD} -->"])
def test_head_that_is_no_whole_sha_is_refused(engine: Engine, capsys: pytest.CaptureFixture[str], head: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["preview", "prod", "--plan", "plan.json", "--head", head])
    assert ended.value.code == 2
    assert "--head: " in capsys.readouterr().err
    assert not engine.calls


def test_failing_preview_writes_a_comment_too(engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    engine.answer("preview", exit=255, errors=["<{%reset%}>kyma-mtls:target.context: no such context<{%reset%}>"])
    assert main(["preview", "prod", "--plan", "plan.json", "--comment", "comment.md"]) == 1
    assert capsys.readouterr().err == "kyma-mtls:target.context: no such context\n"
    assert "no such context" in Path("comment.md").read_text()


def test_preview_is_judged_by_the_policy_pack(engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    judged = {"policyName": "gateway-tls", "resourceUrn": SERVICE, "message": "TLS 1.2 at least\n"}
    levels = [{**judged, "enforcementLevel": level} for level in ("mandatory", "advisory")]
    engine.answer("preview", exit=1, errors=["preview failed"], judged=levels)
    options = ["--policy-pack", "pack", "--policy-pack-config", "config.json"]
    assert main(["preview", "prod", "--plan", "plan.json", *options]) == 1
    assert capsys.readouterr().err == "preview failed\npolicy gateway-tls: target-orders: TLS 1.2 at least\n"
    assert " --policy-pack pack --policy-pack-config config.json " in (engine.folder / "calls").read_text()


def test_error_before_the_engine_runs_is_taken_from_what_is_printed(engine: Engine) -> None:
    engine.answer("preview", exit=255, output="error: no stack named 'prod' found")
    run = deployment.preview("prod", "", Path("plan.json")).run
    assert run.errors == ("error: no stack named 'prod' found",)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_engine_ends_in_order_when_the_command_is_signalled_alone(engine: Engine, number: signal.Signals) -> None:
    (engine.folder / "bin/pulumi").write_text(INTERRUPTED.format(python=sys.executable, number=number.value))
    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    run = deployment.preview("prod", "", Path("plan.json")).run
    assert run.errors == ("error: update cancelled",)
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == before


def test_missing_engine_is_told(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(engine.folder))
    assert main(["preview", "prod", "--plan", "plan.json"]) == 2
    assert capsys.readouterr().err == "no `pulumi` on PATH\n"


def git(*arguments: str) -> str:
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false")
    return subprocess.run(["git", *identity, *arguments], capture_output=True, text=True, check=True).stdout.strip()


def commit() -> str:
    """Commit the stack's file; return the commit."""
    git("init", "-q")
    git("add", "Pulumi.prod.yaml")
    git("commit", "--allow-empty", "-m", "change")
    return git("rev-parse", "HEAD")


@pytest.mark.parametrize("command", [["update", "prod", "--plan", "plan.json"], ["renew", "prod"]])
def test_commit_before_the_deployed_one_is_refused(
    engine: Engine,
    verified: list[list[str]],
    deployed: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
    command: list[str],
) -> None:
    deployed()
    before, after = commit(), commit()
    engine.deployed_from(after)
    git("checkout", "-q", before)
    assert main(command) == 1
    assert capsys.readouterr().err.startswith(f"prod was last changed from a later commit, {after}, ")
    assert not engine.calls
    assert not verified


def test_commit_that_is_not_before_the_deployed_one_is_deployed(engine: Engine, verified: list[list[str]]) -> None:
    before, after = commit(), commit()
    git("checkout", "-q", before)
    git("commit", "--allow-empty", "-m", "beside")
    beside = git("rev-parse", "HEAD")
    git("checkout", "-q", after)
    for known in (None, before, after, beside, "f" * 40):
        engine.deployed_from(known)
        assert main(["update", "prod", "--plan", "plan.json"]) == 0
    assert len(verified) == 5


def test_history_that_cannot_be_read_is_told(engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    (engine.folder / "bin/pulumi").write_text("#!/bin/sh\necho 'error: no stack named prod' >&2\nexit 6\n")
    assert main(["update", "prod", "--plan", "plan.json"]) == 2
    assert capsys.readouterr().err == "error: no stack named prod\n"


def test_file_of_the_base_is_compared(engine: Engine) -> None:
    commit()
    hosts = {"orders": {**ORDERS, "clients": ["warehouse", "billing"]}}
    Path("Pulumi.prod.yaml").write_text(text_of(**{**BASE, "hosts": hosts}))
    assert main(["preview", "prod", "--plan", "plan.json", "--base", "HEAD", "--comment", "comment.md"]) == 0
    assert "- `orders` now admits `billing`.\n" in Path("comment.md").read_text()
    assert engine.calls == ["preview"]


@pytest.mark.parametrize("name", ["nobody", "../prod", "", "prod/", "-"])
def test_stack_without_a_file_is_refused(engine: Engine, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["update", "--plan", "plan.json", "--", name])
    assert ended.value.code == 2
    assert f"there is no file Pulumi.{name}.yaml in this directory" in capsys.readouterr().err
    assert not engine.calls


def test_update_applies_the_plan_and_verifies(engine: Engine, verified: list[list[str]]) -> None:
    assert main(["update", "prod", "--plan", "plan.json", "--junit", "verified.xml"]) == 0
    assert "up --stack prod --yes --skip-preview --plan plan.json " in (engine.folder / "calls").read_text()
    assert verified == [["verification", "--read-only", "--stack", "prod", "--junit", "verified.xml"]]


def test_failed_update_is_told_and_not_verified(
    engine: Engine, verified: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    engine.answer("up", exit=255, errors=["the cluster does not answer"])
    assert main(["update", "prod", "--plan", "plan.json"]) == 1
    said = capsys.readouterr().err
    assert said == "`pulumi up` failed: prod is not, or not wholly, deployed\nthe cluster does not answer\n"
    assert not verified


@pytest.mark.parametrize(
    "error",
    [
        LEAK,
        "delete is not allowed by the plan: this resource is constrained to same",
        "expected resource operations for x",
    ],
)
def test_update_that_leaves_its_plan_is_told_with_the_remedy_and_without_values(
    engine: Engine, verified: list[list[str]], capsys: pytest.CaptureFixture[str], error: str
) -> None:
    engine.answer("up", exit=255, output=f"    Secret s  error: {error}\nhunter2", errors=[error])
    assert main(["update", "prod", "--plan", "plan.json"]) == 1
    printed = capsys.readouterr()
    assert "Preview again, and deploy by the new plan" in printed.err
    if error == LEAK:
        assert "hunter2" not in printed.out + printed.err
        assert "(values withheld)" in printed.out
        assert "(values withheld)" in printed.err
    assert not verified


def test_broken_promise_fails_the_update(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    run, failed = subprocess.run, subprocess.CompletedProcess([], 1, "", "")
    monkeypatch.setattr(
        "subprocess.run", lambda command, **options: failed if "verification" in command else run(command, **options)
    )
    with pytest.raises(Refused, match="verification --read-only --stack prod` does not pass"):
        deployment.update("prod", Path("plan.json"), None)
    assert engine.calls == ["up"]


def renew() -> int:
    return main(["renew", "prod", "--problems", "problems.txt"])


def test_renewal_with_nothing_to_do_verifies_alone(
    engine: Engine, verified: list[list[str]], deployed: Callable[..., None]
) -> None:
    deployed()
    assert renew() == 0
    assert engine.calls == ["preview"]
    assert len(verified) == 1
    assert not Path("problems.txt").exists()


def test_renewal_deploys_what_is_due(engine: Engine, verified: list[list[str]], deployed: Callable[..., None]) -> None:
    deployed()
    engine.answer("preview", plan=renewal())
    assert renew() == 0
    assert engine.calls == ["preview", "up"]
    assert len(verified) == 1


def test_drift_is_told_and_nothing_is_deployed(
    engine: Engine, verified: list[list[str]], deployed: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    deployed()
    engine.answer("preview", plan=renewal() | {SERVICE: resource("delete")})
    assert renew() == 1
    assert engine.calls == ["preview"]
    assert not verified
    said = capsys.readouterr().err
    assert "more than a renewal is pending" in said
    assert "  delete Service target-orders\n" in said
    assert Path("problems.txt").read_text() == said


def test_ending_certificate_is_told_beside_another_problem(
    engine: Engine, verified: list[list[str]], deployed: Callable[..., None]
) -> None:
    deployed(caExpiry="2020-01-01T00:00:00Z")
    engine.answer("preview", exit=255, errors=["cluster https://target does not answer"])
    assert renew() == 1
    assert not verified
    told = Path("problems.txt").read_text()
    assert "cluster https://target does not answer" in told
    assert "kyma-mtls:generation: ends on 2020-01-01 00:00 UTC" in told


def test_preview_that_fails_renews_nothing(engine: Engine, deployed: Callable[..., None]) -> None:
    deployed()
    engine.answer("preview", exit=255, errors=["cluster https://target has no Secret a/b, which this stack made"])
    assert renew() == 1
    assert engine.calls == ["preview"]
    assert "has no Secret a/b" in Path("problems.txt").read_text()


def test_certificate_that_still_ends_soon_fails_the_renewal(
    engine: Engine, verified: list[list[str]], deployed: Callable[..., None]
) -> None:
    deployed(caExpiry="2020-01-01T00:00:00Z")
    assert renew() == 1
    assert engine.calls == ["preview"]
    assert len(verified) == 1
    assert (
        "kyma-mtls:generation: ends on 2020-01-01 00:00 UTC, within renewBeforeDays (30)"
        in Path("problems.txt").read_text()
    )


def ending(**days: int) -> list[str]:
    """Return what is told of a stack when partners' certificates end in so many days, and the others much later."""

    def pem(name: str, **options: Any) -> str:
        return issue(name, end=timedelta(days=days.get(name, 1000)), **options).pem

    used = {"uris": ("spiffe://acme.example/us",), "usage": ExtendedKeyUsageOID.CLIENT_AUTH}
    credentials = {"warehouse": {"certificate": pem("credential", **used)}}
    external = {"certificateAuthority": pem("partner"), "credentials": credentials}
    settings = settings_of(
        target=TARGET,
        clients={"warehouse": WAREHOUSE, "acme": {**ACME, "certificateAuthority": pem("old") + pem("acme")}},
        hosts={
            "httpbin": {**HTTPBIN, "clients": ["acme"]},
            "api": {**PARTNER, "external": external, "clients": ["warehouse"]},
        },
    )
    return expiry.ending(settings, read_outputs("prod", outputs_of(settings), settings), datetime.now(UTC))


def test_certificates_that_end_later_are_not_told() -> None:
    assert ending() == []
    assert ending(acme=31, partner=31, credential=31) == []


def test_old_authority_may_end_beside_the_next() -> None:
    assert ending(old=1) == []


@pytest.mark.parametrize(
    ("days", "path", "remedy"),
    [
        ({"old": 1, "acme": 29}, "clients.acme.certificateAuthority", "ask the partner for the next CA"),
        ({"partner": 29}, "hosts.api.external.certificateAuthority", "ask the partner for the next CA"),
        ({"credential": 0}, "hosts.api.external.credentials.warehouse.certificate", "ask the partner for another one"),
    ],
)
def test_certificate_of_a_partner_that_ends_soon_is_told_with_a_remedy(
    days: dict[str, int], path: str, remedy: str
) -> None:
    (line,) = ending(**days)
    assert line.startswith(f"kyma-mtls:{path}: ends on ")
    assert remedy in line


def test_own_gateway_certificate_that_ends_soon_is_told() -> None:
    own = issue("gateway", hosts=("*.kyma.example.com",), end=timedelta(days=20))
    gateway = {"gatewayMode": "own", "gatewayDomain": "kyma.example.com"}
    settings = settings_of(target=TARGET, **gateway, gatewayCertificate=own.pem, gatewayKey=own.key_pem)
    outputs = read_outputs("prod", outputs_of(settings) | {"gateway": KYMA_GATEWAY}, settings)
    (line,) = expiry.ending(settings, outputs, datetime.now(UTC))
    assert line.startswith("kyma-mtls:gatewayCertificate: ends on ")
    assert "set another one" in line


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., list[str]]]:
    """Serve a Kyma gateway's certificate that ends in so many days; return what is told of it."""
    with ExitStack() as stack:

        def ask(days: int, mode: str, *, trusted: bool = True) -> list[str]:
            authority = issue("gateway CA")
            held = issue("gateway", authority, hosts=("*.kyma.example.com",), end=timedelta(days=days))
            port = stack.enter_context(serving(held))
            monkeypatch.setattr(Endpoint, "plain", lambda _: socket.create_connection(("127.0.0.1", port), 10))
            settings = settings_of(target=TARGET, gatewayMode=mode, gatewayDomain="kyma.example.com")
            ca = authority.pem if trusted else issue("other CA").pem
            gateway = {**KYMA_GATEWAY, "address": "127.0.0.1", "caCertificate": ca}
            outputs = read_outputs("prod", outputs_of(settings) | {"gateway": gateway}, settings)
            return expiry.ending(settings, outputs, datetime.now(UTC))

        yield ask


@contextmanager
def serving(held: Holder) -> Iterator[int]:
    """Answer one TLS handshake with this certificate at the port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.num_tickets = 0  # sent after the handshake, when the other side may have closed: a SIGPIPE
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(held.pem + held.key_pem)
        file.flush()
        context.load_cert_chain(file.name)

    def answer() -> None:
        with suppress(OSError), listener.accept()[0] as plain, context.wrap_socket(plain, server_side=True) as tls:
            tls.recv(1)

    with ThreadPoolExecutor() as pool, socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        pool.submit(answer)
        yield int(listener.getsockname()[1])


@pytest.mark.parametrize("mode", ["selfSigned", "gardener"])
def test_certificate_that_the_kyma_gateway_shows_is_told_if_it_ends_soon(
    served: Callable[..., list[str]], mode: str
) -> None:
    assert served(60, mode) == []
    (line,) = served(20, mode)
    assert line.startswith("kyma-mtls:gatewayMode: its certificate ends on ")
    assert ("Gardener has not renewed it" in line) == (mode == "gardener")


def test_certificate_of_the_kyma_gateway_that_is_wrong_is_told(served: Callable[..., list[str]]) -> None:
    (expired,) = served(-0, "gardener")
    assert "is not valid: certificate has expired" in expired
    (foreign,) = served(60, "gardener", trusted=False)
    assert "is not valid: " in foreign


def test_kubeconfig_is_for_this_user_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    variables = tmp_path / "variables"
    written = tmp_path / "kubeconfig"
    written.write_text("an older one")
    written.chmod(0o644)
    content = "contexts: [{name: target}]\n"
    for name, value in {"RUNNER_TEMP": tmp_path, "GITHUB_ENV": variables, "KUBECONFIG_CONTENT": content}.items():
        monkeypatch.setenv(name, str(value))
    assert main(["kubeconfig"]) == 0
    assert variables.read_text() == f"KUBECONFIG={written}\n"
    assert written.read_text() == content
    assert written.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", ["", "not: it", "token-in-the-wrong-place", "["])
def test_kubeconfig_that_is_none_is_told_and_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    for name, value in {"RUNNER_TEMP": tmp_path, "GITHUB_ENV": tmp_path / "v", "KUBECONFIG_CONTENT": content}.items():
        monkeypatch.setenv(name, str(value))
    assert main(["kubeconfig"]) == 2
    said = capsys.readouterr().err
    assert "KUBECONFIG_CONTENT is " in said
    assert "secret KUBECONFIG" in said
    assert not content or content not in said
    assert not list(tmp_path.iterdir())


class Remembered:
    """A repository where this pull request, or none, brought the commit; it has a comment, or none."""

    def __init__(self, merged: PullRequest | None, body: str | None) -> None:
        self.merged, self.body = merged, body

    def pull_request_of(self, commit: str) -> PullRequest | None:
        assert commit == "abc"
        return self.merged

    def comment(self, pull_request: int, marker: str) -> dict[str, Any] | None:
        assert (pull_request, marker) == (7, comment.marker("prod"))
        return self.body and {"body": self.body}  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("merged", "is_commented", "kinds", "said"),
    [
        (PullRequest(7, HEAD), True, ["create"], ""),
        (
            PullRequest(7, HEAD),
            True,
            ["create", "delete"],
            "preview in the pull request did not have:\n  delete Service",
        ),
        (PullRequest(7, HEAD), False, [], f"no preview of prod succeeded in pull request 7 at its last commit, {HEAD}"),
        (
            PullRequest(7, "f" * 40),
            True,
            ["create"],
            "no preview of prod succeeded in pull request 7 at its last commit",
        ),
        (None, True, [], "no merged pull request brought abc, so no preview of prod did"),
    ],
)
def test_plan_is_held_against_the_comment_of_the_merged_pull_request(
    engine: Engine,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    merged: PullRequest | None,
    is_commented: bool,
    kinds: list[str],
    said: str,
) -> None:
    engine.answer("preview", plan={SECRET: resource("create"), LEAF: resource("create")})
    assert main(["preview", "prod", "--plan", "told.json", "--comment", "comment.md", "--head", HEAD]) == 0
    body = Path("comment.md").read_text() if is_commented else None
    monkeypatch.setattr(Repository, "of_this_run", lambda _: Remembered(merged, body))
    now = {SECRET: resource("create")} | ({SERVICE: resource("delete")} if "delete" in kinds else {})
    Path("plan.json").write_text(json.dumps({"resourcePlans": now}))
    assert main(["previewed", "prod", "--plan", "plan.json", "--commit", "abc"]) == (1 if said else 0)
    printed = capsys.readouterr().err
    assert said in printed
    assert ("run the workflow by hand" in printed) == bool(said)
