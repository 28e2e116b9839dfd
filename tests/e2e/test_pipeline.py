"""The commands of the workflows, on a stack with secrets: previewed, deployed by its plan, renewed."""

import json
import os
import shutil
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from pipeline.comment import previewed
from pipeline.plan import Plan
from tests.e2e.support.checkout import (
    API_KEY,
    CLIENT,
    CLIENTS,
    CONFIG,
    FILE,
    GATEWAY,
    HEAD,
    LATER,
    OTHER_GATEWAY,
    PARTNER,
    STACK,
    Checkout,
)
from tests.e2e.support.commands import ROOT, run
from tests.e2e.support.lab import CLUSTERS, Lab
from tests.e2e.support.project import Project
from tests.e2e.support.stack import age_certificates
from tests.e2e.support.users import Users, reading
from tests.e2e.support.waiting import together
from tests.support.kubeconfigs import write_kubeconfig
from tests.unit.pki import Holder, issue


def credential() -> Holder:
    """Issue what client2 shows to the partner's host, with a key that the user gives."""
    usage = ExtendedKeyUsageOID.CLIENT_AUTH
    return issue("client2", PARTNER, uris=("spiffe://partner.example/us",), usage=usage, end=LATER)


@pytest.fixture(scope="module")
def readers(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """KUBECONFIG of users who only read."""
    with Users(lab, "pipeline-readers", tmp_path_factory.mktemp("readers")) as users:
        yield ":".join(together(lambda cluster: users.add(cluster, "reader", reading(cluster)), CLUSTERS))


@pytest.fixture(scope="module")
def first(project: Project, policy_pack: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """A stack that is previewed for the first time, with its comment and plan, and then deployed by that plan.

    Its namespace has a random name, and its client waits for a partner's answer.
    """
    shutil.copytree(ROOT / "pipeline", project.directory / "pipeline")
    (project.directory / "policies").symlink_to(policy_pack.parent)
    run("git", "init", "-b", "main", cwd=project.directory)
    try:
        with project.deployment(STACK) as deployed:
            deployed.stack.remove_all_config([f"kyma-mtls:{key}" for key in ("target", "clients", "hosts")])
            checkout = Checkout(project, deployed, tmp_path_factory.mktemp("run"))
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
def verified(first: Checkout, opening: str) -> ET.Element:
    """The stack, deployed by the plan of its first preview and committed: what the verification then says of it."""
    first.expect_previewed(previewed(opening, HEAD))
    first.update()
    first.git("add", FILE)
    first.commit()
    first.learn_keys()
    return ET.parse(first.folder / "verified.xml").getroot()  # noqa: S314 - the verification wrote it


@pytest.fixture(scope="module")
def plans(first: Checkout, readers: str, verified: ET.Element) -> list[set[str]]:  # noqa: ARG001 - which deploys it
    """What was planned, and deployed on the first try, for changes of each kind."""
    request = first.deployed.stack.outputs()["signingRequests"].value["api"]["client2"]
    first.write(clients={**CLIENTS, "client": CLIENT}, trustedGenerations=["2"])
    first.write_hosts(PARTNER.sign(request))
    done = [first.deploy(readers)]
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
