"""The commands of the workflows, on a stack with secrets: previewed, deployed by its plan, renewed."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml
from cryptography.x509.oid import ExtendedKeyUsageOID
from pulumi import automation

from pipeline.comment import previewed
from pipeline.plan import Plan
from tests.e2e.support.commands import ROOT, run
from tests.e2e.support.lab import CLUSTERS, Lab
from tests.e2e.support.project import Project
from tests.e2e.support.stack import Deployed, age_certificates
from tests.e2e.support.users import Users, reading
from tests.e2e.support.waiting import together
from tests.support.kubeconfigs import write_kubeconfig
from tests.unit.pki import Holder, issue

STACK = "pipeline"
LATER = timedelta(days=200)
PARTNER = issue("Partner CA", end=LATER)
GATEWAY, OTHER_GATEWAY = (
    issue("gateway", PARTNER, hosts=("*.pipeline-gateway.target.test",), end=LATER) for _ in range(2)
)
HEAD = "3d3c42e5aac5ba805825da76410c181273ba90b1"
PEM_KEY = r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----"
FILE = f"Pulumi.{STACK}.yaml"
IMPORTS = (
    "import sys; from pathlib import Path; from pipeline import deployment, engine; from pipeline.plan import Plan"
)
API_KEY = "kyma-mtls:hosts.api.external.credentials.client2.key"
CLIENT = {"context": "client", "domain": "pipeline.client.test"}
CLIENTS: dict[str, Any] = {
    "client2": {"context": "client2", "callers": ["default/caller"]},
    "acme": {"certificateAuthority": PARTNER.pem, "identity": "dns:acme.example"},
}
EXTERNAL = {
    "domain": "pipeline.internet.test",
    "clients": ["client2"],
    "external": {"certificateAuthority": PARTNER.pem},
}
DEMO = {"domain": "pipeline.target.test", "clients": ["client"]}
CONFIG: dict[str, Any] = {
    "target": {"context": "target"},
    "clients": CLIENTS,
    "hosts": {"api": EXTERNAL},
    "gatewayMode": "own",
    "gatewayDomain": "pipeline-gateway.target.test",
    "gatewayCertificate": GATEWAY.pem + PARTNER.pem,
    "renewBeforeDays": 250,
}
ENDING = {
    "clients.acme.certificateAuthority",
    "hosts.api.external.certificateAuthority",
    "hosts.api.external.credentials.client2.certificate",
    "gatewayCertificate",
}
"""What ends within renewBeforeDays, always."""


def credential() -> Holder:
    """Issue what client2 shows to the partner's host, with a key that the user gives."""
    usage = ExtendedKeyUsageOID.CLIENT_AUTH
    return issue("client2", PARTNER, uris=("spiffe://partner.example/us",), usage=usage, end=LATER)


@dataclass
class Checkout:
    """A project in a git repository, and all that the commands have printed and written of it so far.

    readers: KUBECONFIG of users who only read, by whom reviewers get their comments
    """

    project: Project
    deployed: Deployed
    folder: Path
    readers: str
    keys: list[str] = field(default_factory=list)
    printed: list[str] = field(default_factory=list)

    @property
    def output(self) -> str:
        return "".join(self.printed)

    @property
    def plan(self) -> Path:
        return self.folder / "plan.json"

    @property
    def comment(self) -> str:
        return (self.folder / "comment.md").read_text()

    def run(self, command: str, *arguments: str, code: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command as a step of a workflow does, and expect its exit code."""
        return self.call("-m", "pipeline", command, STACK, *arguments, code=code, **environment)

    def call(self, *arguments: str, code: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run Python in the project, and expect its exit code."""
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.project.directory,
            env=os.environ | self.project.environment | environment,
            check=False,
            capture_output=True,
            text=True,
        )
        self.printed.append(done.stdout + done.stderr)
        assert done.returncode == code, done.stdout + done.stderr
        return done

    def preview(self, code: int = 0, plan: str = "plan.json", **environment: str) -> frozenset[str] | None:
        """Preview; return the digests of the operations that the comment remembers, None if it failed."""
        comment = self.folder / "comment.md"
        files = ("--plan", str(self.folder / plan), "--comment", str(comment))
        self.run("preview", "--head", HEAD, *files, code=code, **environment)
        self.printed.append(comment.read_text())
        return previewed(comment.read_text(), HEAD)

    def deploy(self) -> set[str]:
        """Take a change from its pull request to its deployment; return the operations of its plan.

        The comment is made by a user who only reads. The verification, which takes its time, is left to other tests.
        """
        with ThreadPoolExecutor() as pool:
            planned = pool.submit(self.run, "preview", "--plan", str(self.plan))
            seen = self.preview(plan="readers.json", KUBECONFIG=self.readers)
            planned.result()
        compare = f"deployment.expect_previewed({STACK!r}, Plan.read(Path({str(self.plan)!r})), {seen!r})"
        self.call("-c", f"{IMPORTS}; {compare}", PULUMI_CONFIG_PASSPHRASE="")  # the step of the workflow has none
        self.call("-c", f"{IMPORTS}; sys.exit(engine.up({STACK!r}, {str(self.plan)!r}).exit_code)")
        self.git("add", FILE)
        self.commit()
        return {str(each) for each in Plan.read(self.plan).operations}

    def update(self, code: int = 0) -> subprocess.CompletedProcess[str]:
        reports = {"--record": "record.json", "--junit": "verified.xml", "--html": "verification.html"}
        files = [word for option, name in reports.items() for word in (option, str(self.folder / name))]
        return self.run("update", "--plan", str(self.plan), *files, code=code)

    def renew(self) -> str:
        """Renew, where partners' certificates end soon; return the problems that are printed."""
        printed = self.run("renew", "--problems", str(self.folder / "problems.txt"), code=1).stderr
        assert (self.folder / "problems.txt").read_text() == printed
        assert set(re.findall(r"^kyma-mtls:(\S+): ends on ", printed, re.MULTILINE)) == ENDING
        return printed

    def pulumi(self, *arguments: str) -> str:
        """Run a command of the engine on the stack; return what it prints."""
        command = ("pulumi", "stack", *arguments, "--stack", STACK)
        environment = os.environ | self.project.environment
        done = subprocess.run(
            command, cwd=self.project.directory, env=environment, check=True, stdout=subprocess.PIPE, text=True
        )
        return done.stdout

    def write(self, **config: Any) -> None:
        """Set keys in the stack's file, structures as YAML."""
        path = self.project.directory / FILE
        file = yaml.safe_load(path.read_text())
        file["config"].update({f"kyma-mtls:{key}": value for key, value in config.items()})
        path.write_text(yaml.safe_dump(file))

    def write_hosts(self, shown: str = "", later: str = "", **httpbin: Any) -> None:
        """Set the hosts: the demo's, with these keys, and the partner's, with another certificate if one is given.

        later: domain of a further host; none by default
        """
        hosts = yaml.safe_load((self.project.directory / FILE).read_text())["config"]["kyma-mtls:hosts"]
        if shown:
            external = {"certificateAuthority": PARTNER.pem, "credentials": {"client2": {"certificate": shown}}}
            hosts["api"] = {**EXTERNAL, "external": external}
        further = {"later": {**DEMO, "domain": later}} if later else {}
        self.write(hosts={"api": hosts["api"], "httpbin": {**DEMO, **httpbin}, **further})

    def set_secret(self, path: str, key: str) -> None:
        self.keys.append(key)
        self.deployed.stack.set_config(path, automation.ConfigValue(key, secret=True), path=True)

    def learn_keys(self) -> None:
        """Keep the private keys in the state, which no command may show."""
        exported = self.pulumi("export", "--show-secrets")
        self.keys += [re.sub(r"\\+n", "\n", key) for key in re.findall(PEM_KEY, exported)]

    def commit(self) -> None:
        identity = ("-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false")
        self.git(*identity, "commit", "--allow-empty", "-m", "change")

    def git(self, *arguments: str) -> str:
        return run("git", *arguments, cwd=self.project.directory).stdout.strip()

    def expect_no_secret(self) -> None:
        """Expect that no output of the commands holds a private key, or a token of a kubeconfig."""
        for key in self.keys:
            encoded = b64encode(key.encode()).decode()
            assert key.splitlines()[1] not in self.output
            assert encoded[40:80] not in self.output
        for cluster in CLUSTERS:
            (user,) = yaml.safe_load(Path(self.project.lab.kubeconfig(cluster)).read_text())["users"]
            assert user["user"]["token"] not in self.output
        assert "PRIVATE KEY" not in self.output


@pytest.fixture(scope="module")
def readers(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """KUBECONFIG of users who only read."""
    with Users(lab, "pipeline-readers", tmp_path_factory.mktemp("readers")) as users:
        yield ":".join(together(lambda cluster: users.add(cluster, "reader", reading(cluster)), CLUSTERS))


@pytest.fixture(scope="module")
def first(
    project: Project, policy_pack: Path, readers: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Checkout]:
    """A stack that is previewed for the first time, with its comment and plan, and then deployed by that plan.

    Its namespace has a random name, and its client waits for a partner's answer.
    """
    shutil.copytree(ROOT / "pipeline", project.directory / "pipeline")
    (project.directory / "policies").symlink_to(policy_pack.parent)
    run("git", "init", "-b", "main", cwd=project.directory)
    try:
        with project.deployment(STACK) as deployed:
            deployed.stack.remove_all_config([f"kyma-mtls:{key}" for key in ("target", "clients", "hosts")])
            checkout = Checkout(project, deployed, tmp_path_factory.mktemp("run"), readers)
            for _ in ("an older commit", "the one that is deployed"):
                checkout.commit()
            checkout.write(**CONFIG)
            checkout.set_secret("kyma-mtls:gatewayKey", GATEWAY.key_pem)
            checkout.preview()
            yield checkout
    finally:
        shutil.rmtree(project.directory / ".git")
        shutil.rmtree(project.directory / "pipeline")
        (project.directory / "policies").unlink()


@pytest.fixture(scope="module")
def opening(first: Checkout) -> str:
    """The comment of the first preview."""
    return first.comment


@pytest.fixture(scope="module")
def verified(first: Checkout, opening: str) -> ET.Element:  # noqa: ARG001 - which is read before
    """The stack, deployed by the plan of its first preview and committed: what the verification then says of it."""
    first.update()
    first.git("add", FILE)
    first.commit()
    first.learn_keys()
    return ET.parse(first.folder / "verified.xml").getroot()  # noqa: S314 - the verification wrote it


@pytest.fixture(scope="module")
def plans(first: Checkout, verified: ET.Element) -> list[set[str]]:  # noqa: ARG001 - which deploys it
    """What was planned, and deployed on the first try, for changes of each kind."""
    request = first.deployed.stack.outputs()["signingRequests"].value["api"]["client2"]
    first.write(clients={**CLIENTS, "client": CLIENT}, trustedGenerations=["2"])
    first.write_hosts(PARTNER.sign(request))
    done = [first.deploy()]
    first.write(generation="2", trustedGenerations=["1"])
    first.write_hosts(later="pipeline-later.target.test", clients=["client", "acme"])
    done.append(first.deploy())
    first.write(trustedGenerations=[], namespace=STACK, confirm=[f"namespace={STACK}"])
    first.write_hosts()
    done.append(first.deploy())
    first.learn_keys()
    return done


@pytest.fixture
def checkout(first: Checkout, plans: list[set[str]]) -> Iterator[Checkout]:  # noqa: ARG001 - which deploys it
    """The stack as it is deployed and committed; what a test changes in its file is taken back."""
    file = first.project.directory / FILE
    text = file.read_text()
    yield first
    file.write_text(text)


def test_comment_of_a_new_stack_tells_who_may_call_whom_and_shows_the_diff(first: Checkout, opening: str) -> None:
    assert opening.startswith(f"<!-- kyma-mtls preview of {STACK} -->\n")
    for line in (
        "The stack is new.",
        "```mermaid\ngraph LR\n",
        "- Host `api` (`pipeline.internet.test`), a partner's, is new and admits `client2`.",
        "- Client `acme`, a partner's (`dns:acme.example`), is new and may call no host.",
        "Nothing: no object of a cluster is deleted or replaced.",
        "<details><summary>Diff</summary>",
        "[secret]",
    ):
        assert line in opening
    assert "kubernetes:core/v1:Secret: (create)" in first.output, "the diff in the comment may be cut before"
    first.expect_no_secret()


def test_update_by_the_plan_is_verified(first: Checkout, verified: ET.Element) -> None:
    assert int(verified.attrib["tests"]) > 0
    assert (verified.attrib["failures"], verified.attrib["errors"]) == ("0", "0")
    reports = [(first.folder / name).read_text() for name in ("record.json", "verification.html")]
    record = json.loads(reports[0])
    assert (record["stack"], record["result"]) == (STACK, "deployed")
    first.printed += reports
    first.expect_no_secret()


def test_each_kind_of_change_is_deployed_by_its_first_plan(lab: Lab, checkout: Checkout, plans: list[set[str]]) -> None:
    added, rotated, moved = plans
    assert added >= {"create Deployment target-httpbin", "create Stash target-httpbin-ready"}, "the first demo host"
    assert added >= {"create Namespace client-client-namespace"}, "a client"
    assert any(each.startswith("create Secret client-client2.api-credential.") for each in added), "a partner's answer"
    assert added >= {"create Secret client-client2-credential.1.2"}, "trusts the next generation"
    assert rotated >= {"create Secret client-client2-credential.2.1", "create Gateway target-later-gateway"}, "a host"
    assert moved >= {"create Secret client-client2-credential.2", "delete PrivateKey certificates-ca.1"}
    assert moved >= {"replace Namespace target-namespace", "delete Gateway target-later-gateway"}
    assert lab.status(STACK, "http://pipeline.target.test/headers") == "200"
    checkout.expect_no_secret()


def test_comment_reports_an_interruption(checkout: Checkout) -> None:
    checkout.write(namespace="pipeline-b")
    assert checkout.preview(code=1) is None
    assert "the preview fails" in checkout.comment
    assert "kyma-mtls:namespace: changes from pipeline to pipeline-b, which interrupts" in checkout.comment
    checkout.expect_no_secret()


def test_cluster_that_is_away_fails_its_stack_by_its_path(
    checkout: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        server = f"https://127.0.0.1:{closed.getsockname()[1]}"
    away = write_kubeconfig(tmp_path / "away", server, contexts=("client2",))
    others = [checkout.project.lab.kubeconfig(cluster) for cluster in ("target", "client")]
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join(map(str, (away, *others))))
    line = (
        f"kyma-mtls:clients.client2.context: cluster {server} does not answer: [Errno 111] Connection refused; "
        "`pulumi config set --path clients.client2.away true` goes on without this cluster"
    )
    assert checkout.preview(code=1) is None
    errors = checkout.comment.partition("### Errors\n")[2].partition("\n<details>")[0]
    assert [each for each in errors.splitlines() if "kyma-mtls:" in each] == [line]


def test_older_commit_is_not_deployed(checkout: Checkout) -> None:
    head = checkout.git("rev-parse", "HEAD")
    checkout.git("reset", "--soft", "HEAD~2")
    try:
        assert f"{STACK} was last changed from a later commit, " in checkout.update(code=1).stderr
    finally:
        checkout.git("reset", "--soft", head)


def test_update_is_judged_by_the_policies_although_its_preview_was_not(checkout: Checkout) -> None:
    checkout.write_hosts(methods=["GET", "PUT"])
    checkout.preview()
    config = checkout.project.directory / "policies/config" / f"{STACK}.json"
    config.parent.mkdir(exist_ok=True)
    config.write_text('{"certificate-lifetime": {"maximumDays": 1}}')
    try:
        refused = checkout.update(code=1).stderr
    finally:
        config.unlink()
    assert f"`pulumi up` failed: {STACK} is not deployed, or only in part\n" in refused
    assert "policy certificate-lifetime: " in refused


def test_renewal_renews_what_is_due_and_names_what_only_a_partner_can_renew(checkout: Checkout, lab: Lab) -> None:
    secret = checkout.deployed.stack.outputs()["clients"].value["client"]["secret"]

    def shown() -> str:
        return str(lab.get("client", "secret", "istio-system", secret)["data"]["tls.crt"])

    before = shown()
    age_certificates(checkout.deployed.stack)
    checkout.write_hosts(methods=["GET", "PUT"])
    assert "more than a renewal is pending" in checkout.renew()
    assert shown() == before, "nothing is deployed beside a change that nobody deployed"
    checkout.git("checkout", FILE)
    problems = checkout.renew()
    for said in ("more than a renewal is pending", "the clusters are not as the stack was deployed", "does not pass"):
        assert said not in problems
    renewed = shown()
    assert renewed != before
    assert expiry(checkout) > datetime.now(UTC) + timedelta(days=300)
    checkout.expect_no_secret()


def test_comment_reports_a_change_and_an_outdated_plan_is_refused(checkout: Checkout) -> None:
    """Expect that a renewal, if one was deployed before, is whole: nothing of it is left for this change.

    It is the last test: what the outdated plan still allowed is done.
    """
    given = credential()
    checkout.write_hosts(given.pem, clients=["client", "acme"], methods=["GET", "PUT"])
    checkout.set_secret(API_KEY, given.key_pem)
    digests = checkout.preview()
    for said in ("- `httpbin` now admits `acme`.\n", "- `hosts.httpbin.methods` gains `PUT`.\n", "== gains ==>"):
        assert said in checkout.comment
    assert digests
    certificates = {each for each in Plan.read(checkout.plan).operations if each.type.endswith("SignedCert")}
    assert not certificates, "none is due"
    checkout.write(gatewayCertificate=OTHER_GATEWAY.pem + PARTNER.pem)
    checkout.set_secret("kyma-mtls:gatewayKey", OTHER_GATEWAY.key_pem)
    refused = checkout.update(code=1).stderr
    assert "violates plan: properties changed: (values withheld)" in refused
    assert "Preview again, and deploy the new plan" in refused
    checkout.preview()
    assert "did not deploy the whole stack" in checkout.comment
    assert "- `httpbin` now admits `acme`.\n" in checkout.comment, "it compares with the last update that succeeded"
    checkout.expect_no_secret()


def expiry(checkout: Checkout) -> datetime:
    """Return the end of the demo host's certificate, as the outputs have it."""
    hosts = checkout.deployed.stack.outputs()["hosts"].value
    return datetime.fromisoformat(hosts["httpbin"]["expiry"])
