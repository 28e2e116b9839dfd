"""The commands of the workflows, on a stack with secrets: reviewed, deployed by its plan, renewed."""

import json
import os
import re
import shutil
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml
from cryptography.x509.oid import ExtendedKeyUsageOID
from pulumi import automation

from pipeline.comment import reviewed
from pipeline.plan import Plan
from tests.e2e.conftest import CLUSTERS, ROOT, Deployed, Lab, Project, run
from tests.unit.pki import Holder, issue

STACK = "pipeline"
LATER = timedelta(days=200)
PARTNER = issue("Partner CA", end=LATER)
GATEWAY = issue("gateway", PARTNER, hosts=("*.pipeline-gateway.target.test",), end=LATER)
FILE = f"Pulumi.{STACK}.yaml"
API_KEY = "kyma-mtls:hosts.api.external.credentials.client2.key"
CONFIG: dict[str, Any] = {
    "namespace": STACK,
    "target": {"context": "target"},
    "clients": {
        "client": {"context": "client", "domain": "pipeline.client.test"},
        "client2": {"context": "client2", "callers": ["default/caller"]},
        "acme": {"certificateAuthority": PARTNER.pem, "identity": "dns:acme.example"},
    },
    "gatewayMode": "own",
    "gatewayDomain": "pipeline-gateway.target.test",
    "gatewayCertificate": GATEWAY.pem + PARTNER.pem,
}


def credential() -> Holder:
    """Issue what client2 shows to the partner's host."""
    usage = ExtendedKeyUsageOID.CLIENT_AUTH
    return issue("client2", PARTNER, uris=("spiffe://partner.example/us",), usage=usage, end=LATER)


@dataclass
class Checkout:
    """A project in a git repository, and all that the commands have printed and written of it so far."""

    project: Project
    deployed: Deployed
    folder: Path
    keys: list[str]
    told: str = ""

    @property
    def plan(self) -> Path:
        return self.folder / "plan.json"

    @property
    def comment(self) -> str:
        return (self.folder / "comment.md").read_text()

    def run(self, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command as a step of a workflow does."""
        done = subprocess.run(
            [sys.executable, "-m", "pipeline", command, STACK, *arguments],
            cwd=self.project.directory,
            env=os.environ | self.project.environment,
            check=False,
            capture_output=True,
            text=True,
        )
        self.told += done.stdout + done.stderr
        return done

    def preview(self) -> subprocess.CompletedProcess[str]:
        comment = self.folder / "comment.md"
        done = self.run("preview", "--base", "HEAD", "--plan", str(self.plan), "--comment", str(comment))
        self.told += comment.read_text()
        return done

    def update(self) -> subprocess.CompletedProcess[str]:
        return self.run("update", "--plan", str(self.plan), "--junit", str(self.folder / "verified.xml"))

    def renew(self) -> subprocess.CompletedProcess[str]:
        return self.run("renew", "--problems", str(self.folder / "problems.txt"))

    def write(self, **config: Any) -> None:
        """Set keys in the stack's file, structures as YAML."""
        path = self.project.directory / FILE
        file = yaml.safe_load(path.read_text())
        file["config"].update({f"kyma-mtls:{key}": value for key, value in config.items()})
        path.write_text(yaml.safe_dump(file))

    def write_hosts(self, shown: Holder | None = None, **httpbin: Any) -> None:
        """Set the hosts: the demo's, with these keys, and the partner's, by another credential if one is given."""
        hosts = yaml.safe_load((self.project.directory / FILE).read_text())["config"].get("kyma-mtls:hosts", {})
        hosts["httpbin"] = {"domain": "pipeline.target.test", "clients": ["client"], **httpbin}
        if shown:
            external = {"certificateAuthority": PARTNER.pem, "credentials": {"client2": {"certificate": shown.pem}}}
            hosts["api"] = {"domain": "pipeline.internet.test", "clients": ["client2"], "external": external}
        self.write(hosts=hosts)
        if shown:
            self.set_secret(API_KEY, shown.key_pem)

    def set_secret(self, path: str, key: str) -> None:
        self.keys.append(key)
        self.deployed.stack.set_config(path, automation.ConfigValue(key, secret=True), path=True)

    def commit(self) -> None:
        identity = ("-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false")
        run("git", "add", FILE, cwd=self.project.directory)
        run("git", *identity, "commit", "--allow-empty", "-m", "change", cwd=self.project.directory)

    def expect_no_secret(self) -> None:
        """Nothing that the commands have told holds a private key, or a token of a kubeconfig."""
        for key in self.keys:
            encoded = b64encode(key.encode()).decode()
            assert key.splitlines()[1] not in self.told
            assert encoded[40:80] not in self.told
        for cluster in CLUSTERS:
            (user,) = yaml.safe_load(Path(Lab().kubeconfig(cluster)).read_text())["users"]
            assert user["user"]["token"] not in self.told
        assert "PRIVATE KEY" not in self.told


@pytest.fixture(scope="module")
def first(project: Project, lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:  # noqa: ARG001
    """A stack that is previewed for the first time, with its comment and plan, and then deployed by that plan."""
    shutil.copytree(ROOT / "pipeline", project.directory / "pipeline")
    run("git", "init", "-b", "main", cwd=project.directory)
    try:
        with project.deployment(STACK) as deployed:
            deployed.stack.remove_all_config([f"kyma-mtls:{key}" for key in ("target", "clients", "hosts")])
            checkout = Checkout(project, deployed, tmp_path_factory.mktemp("run"), [])
            checkout.write(**CONFIG)
            checkout.set_secret("kyma-mtls:gatewayKey", GATEWAY.key_pem)
            checkout.write_hosts(credential())
            previewed = checkout.preview()
            assert previewed.returncode == 0, previewed.stdout + previewed.stderr
            yield checkout
    finally:
        shutil.rmtree(project.directory / ".git")
        shutil.rmtree(project.directory / "pipeline")


@pytest.fixture(scope="module")
def opening(first: Checkout) -> str:
    """The comment of the first preview."""
    return first.comment


@pytest.fixture(scope="module")
def checkout(first: Checkout, opening: str) -> Checkout:  # noqa: ARG001 - which is read before
    """The stack, deployed by the plan of its first preview; what is deployed is committed."""
    updated = first.update()
    assert updated.returncode == 0, updated.stdout + updated.stderr
    first.commit()
    return first


def test_comment_of_a_new_stack_tells_who_may_call_whom_and_shows_the_diff(first: Checkout, opening: str) -> None:
    assert opening.startswith(f"<!-- kyma-mtls preview of {STACK} -->\n")
    for told in (
        "The stack is new.",
        "```mermaid\ngraph LR\n",
        "- Host `httpbin` (`pipeline.target.test`) is new and admits `client`.",
        "- Host `api` (`pipeline.internet.test`), a partner's, is new and admits `client2`.",
        "- Client `acme`, a partner's (`dns:acme.example`), is new and may call nothing.",
        "Nothing: no object of a cluster is deleted or replaced.",
        "<details><summary>Diff</summary>",
        "[secret]",
    ):
        assert told in opening
    assert "kubernetes:core/v1:Secret: (create)" in first.told, "the diff in the comment may be cut before"
    first.expect_no_secret()


def test_update_by_the_plan_is_verified_and_leaves_nothing_to_do(lab: Lab, checkout: Checkout) -> None:
    suites = ET.parse(checkout.folder / "verified.xml").getroot()  # noqa: S314 - the verification wrote it
    assert int(suites.attrib["tests"]) > 0
    assert (suites.attrib["failures"], suites.attrib["errors"]) == ("0", "0")
    assert lab.status(STACK, "http://pipeline.target.test/headers") == "200"
    checkout.deployed.stack.preview(expect_no_changes=True)
    checkout.expect_no_secret()


def test_change_is_told_with_what_it_does_and_what_it_would_interrupt(checkout: Checkout) -> None:
    checkout.write_hosts(clients=["client", "acme"], methods=["GET", "PUT"])
    assert checkout.preview().returncode == 0
    assert "- `httpbin` now admits `acme`.\n- `hosts.httpbin.methods` gains `PUT`.\n" in checkout.comment
    assert "== gains ==>" in checkout.comment
    assert reviewed(checkout.comment) == frozenset(each.digest for each in Plan.read(checkout.plan).operations)
    checkout.write(namespace="pipeline-b")
    try:
        assert checkout.preview().returncode == 1
        assert "the preview fails" in checkout.comment
        assert "kyma-mtls:namespace: changes from pipeline to pipeline-b, which interrupts" in checkout.comment
        assert reviewed(checkout.comment) is None
    finally:
        checkout.write(namespace=STACK)
        checkout.write_hosts()
    checkout.expect_no_secret()


def test_plan_that_no_longer_fits_is_refused_and_shows_no_secret(checkout: Checkout) -> None:
    checkout.write_hosts(credential())
    assert checkout.preview().returncode == 0
    checkout.write_hosts(credential())
    refused = checkout.update()
    assert refused.returncode == 1
    assert "violates plan: properties changed: (values withheld)" in refused.stderr
    assert "Preview again, and deploy by the new plan" in refused.stderr
    checkout.expect_no_secret()
    assert checkout.preview().returncode == 0
    assert checkout.update().returncode == 0
    checkout.commit()


def test_renewal_renews_what_is_due_and_nothing_else(checkout: Checkout, lab: Lab, tmp_path: Path) -> None:
    secret = checkout.deployed.stack.outputs()["clients"].value["client"]["secret"]

    def shown() -> str:
        return str(lab.get("client", "secret", "istio-system", secret)["data"]["tls.crt"])

    before = shown()
    assert checkout.renew().returncode == 0
    assert shown() == before, "nothing is due"
    age_certificates(checkout, tmp_path / "state.json")
    checkout.write_hosts(methods=["GET", "PUT"])
    refused = checkout.renew()
    assert refused.returncode == 1
    assert "more than a renewal is pending" in refused.stderr
    assert (checkout.folder / "problems.txt").read_text() == refused.stderr
    assert shown() == before, "nothing is deployed beside a change that nobody deployed"
    checkout.write_hosts()
    renewed = checkout.renew()
    assert renewed.returncode == 0, renewed.stdout + renewed.stderr
    assert shown() != before
    assert expiry(checkout) > datetime.now(UTC) + timedelta(days=300)
    checkout.deployed.stack.preview(expect_no_changes=True)
    checkout.expect_no_secret()


def test_renewal_names_a_certificate_that_only_its_partner_can_renew(checkout: Checkout) -> None:
    checkout.write(renewBeforeDays=250)
    try:
        assert checkout.preview().returncode == 0
        assert checkout.update().returncode == 0
        refused = checkout.renew()
        assert refused.returncode == 1
        paths = set(re.findall(r"^kyma-mtls:(\S+): ends on ", refused.stderr, re.MULTILINE))
        credentials = "hosts.api.external.credentials.client2.certificate"
        authorities = {"clients.acme.certificateAuthority", "hosts.api.external.certificateAuthority"}
        assert paths == {credentials, *authorities, "gatewayCertificate"}
    finally:
        checkout.write(renewBeforeDays=30)
        checkout.deployed.up()


def age_certificates(checkout: Checkout, file: Path) -> None:
    """Let the state say that every certificate of a host or a client ends tomorrow."""
    project = checkout.project

    def pulumi(*arguments: str) -> None:
        command = ("pulumi", "stack", *arguments, "--stack", STACK, "--file", str(file))
        subprocess.run(command, cwd=project.directory, env=os.environ | project.environment, check=True)

    pulumi("export")
    state = json.loads(file.read_text())
    for resource in state["deployment"]["resources"]:
        if resource["type"] == "tls:index/locallySignedCert:LocallySignedCert":
            tomorrow = datetime.now(UTC) + timedelta(days=1)
            resource["outputs"]["validityEndTime"] = tomorrow.isoformat(timespec="seconds").replace("+00:00", "Z")
    file.write_text(json.dumps(state))
    pulumi("import")


def expiry(checkout: Checkout) -> datetime:
    """Return the end of the demo host's certificate, as the outputs have it."""
    hosts = checkout.deployed.stack.outputs()["hosts"].value
    return datetime.fromisoformat(hosts["httpbin"]["expiry"])
