"""A stack of one host and one client in the lab: deployed, verified, changed, disturbed, destroyed."""

import json
import re
import secrets
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest
from cryptography import x509

from components.objects import domain_mark
from components.ownership import OWNER_LABEL
from tests.e2e.support.lab import Inventory, Lab
from tests.e2e.support.life import objects_labelled
from tests.e2e.support.project import Project
from tests.e2e.support.stack import Deployed, refusal
from tests.e2e.support.waiting import eventually
from verification.issuing import foreign_credential

CLIENT = {"kubeconfig": ".lab/client.kubeconfig", "domain": "one.client.test"}
URL = "http://one.target.test/headers"
ALL_PASSED = "passed, 0 failed, 0 skipped"

Reader = Callable[[Lab, Deployed], dict[str, Any]]
"""Returns a Secret of a stack, as its cluster has it now."""


@pytest.fixture(scope="module")
def deployed(project: Project, before: object) -> Iterator[Deployed]:  # noqa: ARG001 - which is asked for first
    with project.deployment("one", clients={"client": CLIENT}) as deployed:
        deployed.up()
        yield deployed


def namespace(deployed: Deployed) -> str:
    return str(deployed.outputs["clients"]["client"]["namespace"])


def client_secret(lab: Lab, deployed: Deployed) -> dict[str, Any]:
    return lab.get("client", "secret", "istio-system", deployed.outputs["clients"]["client"]["secret"])


def server_secret(lab: Lab, deployed: Deployed) -> dict[str, Any]:
    return lab.get("target", "secret", "istio-system", deployed.outputs["hosts"]["httpbin"]["secret"])


def objects(lab: Lab, deployed: Deployed) -> Inventory:
    """Return what the stack has in istio-system and in its namespace of both clusters, each with its version."""
    label = f"{OWNER_LABEL}={client_secret(lab, deployed)['metadata']['labels'][OWNER_LABEL]}"
    return {cluster: objects_labelled(lab, cluster, label) for cluster in ("target", "client")}


def originate(lab: Lab, deployed: Deployed, *names: str) -> None:
    """Let the egress gateway accept a server of these names, as no stack would."""
    rule = f"originate-mtls-for-{namespace(deployed)}-httpbin-{domain_mark('one.target.test')}"
    path = "/spec/trafficPolicy/portLevelSettings/0/tls/subjectAltNames"
    patch = json.dumps([{"op": "replace", "path": path, "value": names}])
    lab.kubectl("client", "-n", "istio-system", "patch", "destinationrule", rule, "--type=json", "-p", patch)


def expect_status(lab: Lab, deployed: Deployed, status: str, what: str) -> None:
    eventually(lambda: lab.status(namespace(deployed), URL) == status, what)


def test_stack_keeps_every_promise(project: Project, deployed: Deployed) -> None:
    project.expect_verified(deployed.stack, ALL_PASSED)


def test_stack_has_no_changes_in_a_second_preview(deployed: Deployed) -> None:
    deployed.stack.preview(expect_no_changes=True)


def test_stack_has_private_keys_in_no_output_log_or_state(deployed: Deployed) -> None:
    outputs = json.dumps(deployed.outputs)
    assert "BEGIN CERTIFICATE" in outputs, "the CA certificate is for other projects"
    for place, text in (("outputs", outputs), ("log", deployed.printed), ("state", deployed.stack.state())):
        assert "PRIVATE KEY" not in text, f"a private key is in the {place}"


def test_route_allows_get_alone(lab: Lab, deployed: Deployed) -> None:
    expect_status(lab, deployed, "200", "GET is served")
    eventually(lambda: lab.status(namespace(deployed), "-X", "POST", URL) == "403", "POST is refused")


def test_egress_gateway_refuses_server_of_another_name(lab: Lab, deployed: Deployed) -> None:
    originate(lab, deployed, "other.target.test")
    expect_status(lab, deployed, "503", "a wrong name is refused")
    originate(lab, deployed, "one.target.test")
    expect_status(lab, deployed, "200", "the right name is accepted")


def test_target_refuses_client_certificate_of_another_ca(lab: Lab, deployed: Deployed) -> None:
    secret = client_secret(lab, deployed)
    own = {key: secret["data"][key] for key in ("tls.crt", "tls.key")}
    foreign = foreign_credential(x509.load_pem_x509_certificate(own["tls.crt"].encode()).subject)

    def present(credential: dict[str, str]) -> None:
        patch = json.dumps({"stringData": credential})
        lab.kubectl("client", "-n", "istio-system", "patch", "secret", secret["metadata"]["name"], "-p", patch)

    present({"tls.crt": foreign.certificate.decode(), "tls.key": foreign.key.decode()})

    def refused() -> bool:
        # Open connections keep the certificate they began with; an Envoy cluster that changes opens new ones.
        originate(lab, deployed, "one.target.test", f"{secrets.token_hex(4)}.target.test")
        return lab.status(namespace(deployed), URL) == "503"

    eventually(refused, "a foreign certificate is refused")
    present(own)
    originate(lab, deployed, "one.target.test")
    expect_status(lab, deployed, "200", "its own is accepted again")


@pytest.fixture(scope="module")
def changed(lab: Lab, deployed: Deployed) -> dict[Reader, dict[str, Any]]:
    """The stack after one update that takes the NetworkPolicy away and reissues all certificates.

    Gives the Secrets of before, by what reads them.
    """
    eventually(lambda: outside(lab, deployed) == "503", "the sidecar cannot connect")
    reads: tuple[Reader, ...] = (server_secret, client_secret)
    secrets_before = {read: read(lab, deployed) for read in reads}
    deployed.up(clients={"client": CLIENT | {"networkPolicy": "none"}}, keyAlgorithm="ECDSA-P384", validityDays="200")
    return secrets_before


def outside(lab: Lab, deployed: Deployed) -> str:
    """Return the status that the demo's caller gets from a host outside, past the egress gateway."""
    return lab.status(namespace(deployed), "http://www.internet.test/")


@pytest.mark.usefixtures("changed")
def test_network_policy_alone_closes_the_direct_way_out(lab: Lab, project: Project, deployed: Deployed) -> None:
    eventually(lambda: outside(lab, deployed) == "200", "without the policy all is open")
    verified = project.verify(deployed.stack, "--only", "direct TLS connection")
    assert verified.returncode == 0, verified.stdout
    assert re.search("SKIP.*networkPolicy is none", verified.stdout), "what weakens security is said aloud"


def test_stack_reissues_certificates_of_the_same_ca_in_place(
    lab: Lab, deployed: Deployed, changed: dict[Reader, dict[str, Any]]
) -> None:
    for read, ca in ((server_secret, "cacert"), (client_secret, "ca.crt")):
        old, new = changed[read], read(lab, deployed)
        assert new["metadata"]["uid"] == old["metadata"]["uid"], "a Secret is never replaced under live traffic"
        same = {entry for entry in old["data"] if new["data"][entry] == old["data"][entry]}
        assert same == {ca}, "certificate and key are others"
    ends = [
        x509.load_pem_x509_certificate(read(lab, deployed)["data"][entry].encode())
        for read, entry in ((server_secret, "cert"), (client_secret, "tls.crt"))
    ]
    expiries = [deployed.outputs["hosts"]["httpbin"]["expiry"], deployed.outputs["clients"]["client"]["expiry"]]
    assert [datetime.fromisoformat(each) for each in expiries] == [each.not_valid_after_utc for each in ends]
    expect_status(lab, deployed, "200", "the reissued certificates are accepted")


@pytest.mark.usefixtures("changed")
def test_stack_whose_object_is_deleted_fails_its_verification_until_refresh_repairs_it(
    lab: Lab, project: Project, deployed: Deployed
) -> None:
    rule = f"egressgateway-for-{namespace(deployed)}-httpbin"
    lab.kubectl("client", "-n", "istio-system", "delete", "destinationrule", rule)
    eventually(lambda: lab.status(namespace(deployed), URL) != "200", "Envoy lacks it, too")
    verified = project.verify(deployed.stack, "--timeout", "0", "--only", "plain HTTP to")
    assert verified.returncode == 1, verified.stdout
    broken = "FAIL plain HTTP to httpbin leaves .*\n *expected: .*\n *saw: .*\n *look: "
    assert re.search(broken, verified.stdout), verified.stdout
    assert f"has no DestinationRule istio-system/{rule}, which this stack made" in refusal(deployed.stack.up)
    deployed.up(refresh=True, clients={"client": CLIENT})  # the NetworkPolicy comes back, too
    eventually(lambda: outside(lab, deployed) == "503", "with the NetworkPolicy all is closed again")
    project.expect_working(deployed.stack)


def test_stack_refuses_object_names_of_a_second_stack(lab: Lab, project: Project, deployed: Deployed) -> None:
    first, _, last = namespace(deployed).rpartition("-")
    hosts = {f"{last}-httpbin": {"domain": "three.target.test"}}  # "a" and "b-c" end names as "a-b" and "c" do
    before = [server_secret(lab, deployed), client_secret(lab, deployed)], objects(lab, deployed)
    with project.deployment("three", namespace=first, hosts=hosts) as other:
        said = refusal(other.up)
        taken = rf"has \w+ istio-system/\S+-{namespace(deployed)}-httpbin(\.1)? already, and another stack made it"
        assert re.search(rf"cluster https://\S+ {taken}; remove it, or choose other names", said), said
    assert ([server_secret(lab, deployed), client_secret(lab, deployed)], objects(lab, deployed)) == before


def test_destroy_leaves_the_clusters_as_they_were_found(
    lab: Lab, deployed: Deployed, before: dict[str, set[str]]
) -> None:
    deployed.destroy()
    lab.expect_as_before(before)
