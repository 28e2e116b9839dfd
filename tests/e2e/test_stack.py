"""A stack's whole life in the lab: deployed, verified, changed, disturbed, destroyed."""

import json
import re
from base64 import b64decode, b64encode
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from cryptography import x509
from pulumi import automation

from tests.e2e.conftest import Lab, Project, configure, eventually
from verification.tls import foreign_credential


@dataclass(frozen=True)
class Deployed:
    """A deployed stack, what `pulumi up` printed, and each cluster's objects from before."""

    stack: automation.Stack
    printed: str
    before: dict[str, set[str]]

    @property
    def client_namespace(self) -> str:
        return str(self.stack.outputs()["client"].value["namespace"])

    @property
    def url(self) -> str:
        return f"http://{self.stack.outputs()['domain'].value}/headers"

    def secret(self, side: str) -> str:
        return str(self.stack.outputs()[side].value["secret"])


@pytest.fixture(scope="module")
def deployed(lab: Lab, project: Project) -> Iterator[Deployed]:
    before = {cluster: lab.objects(cluster) for cluster in ("target", "client")}
    stack = project.stack("one")
    yield Deployed(stack, stack.up().stdout, before)
    stack.destroy()


def secret(lab: Lab, cluster: str, name: str) -> dict[str, dict[str, str]]:
    return dict(json.loads(lab.kubectl(cluster, "-n", "istio-system", "get", "secret", name, "-o", "json")))


def serial(pem: str) -> int:
    return x509.load_pem_x509_certificate(b64decode(pem)).serial_number


def originate(lab: Lab, deployed: Deployed, **tls: object) -> None:
    """Change how the egress gateway originates mutual TLS, as no stack would."""
    name = f"originate-mtls-for-httpbin{deployed.secret('client').removeprefix('client-credential')}"
    path = "/spec/trafficPolicy/portLevelSettings/0/tls/"
    patch = json.dumps([{"op": "replace", "path": path + key, "value": value} for key, value in tls.items()])
    lab.kubectl("client", "-n", "istio-system", "patch", "destinationrule", name, "--type=json", "-p", patch)


def test_the_verification_sees_every_promise_kept(project: Project, deployed: Deployed) -> None:
    verified = project.verify(deployed.stack)
    assert verified.returncode == 0, verified.stdout
    assert verified.stdout.count("PASS") == 5, verified.stdout
    assert "5 passed, 0 failed, 0 skipped" in verified.stdout


def test_a_second_preview_has_no_changes(deployed: Deployed) -> None:
    deployed.stack.preview(expect_no_changes=True)


def test_no_private_key_is_seen_outside_secrets(project: Project, deployed: Deployed) -> None:
    outputs = json.dumps({key: output.value for key, output in deployed.stack.outputs().items()})
    assert "BEGIN CERTIFICATE" in outputs, "the CA certificate is for other projects"
    for place, text in (("outputs", outputs), ("log", deployed.printed), ("state", project.state(deployed.stack))):
        assert "PRIVATE KEY" not in text, f"a private key is in the {place}"


def test_every_kubernetes_object_names_its_cluster(deployed: Deployed) -> None:
    resources = (deployed.stack.export_stack().deployment or {})["resources"]
    providers = {r["urn"].rpartition("::")[2] for r in resources if r["type"] == "pulumi:providers:kubernetes"}
    assert providers == {"target", "client"}, "a default provider would deploy wherever a kubeconfig happens to point"


def test_only_what_the_route_allows_gets_through(lab: Lab, deployed: Deployed) -> None:
    assert lab.status(deployed.client_namespace, deployed.url) == "200"
    assert lab.status(deployed.client_namespace, "-X", "POST", deployed.url) == "403"


def test_the_egress_gateway_refuses_a_server_of_another_name(lab: Lab, deployed: Deployed) -> None:
    originate(lab, deployed, subjectAltNames=["other.target.test"])
    eventually(lambda: lab.status(deployed.client_namespace, deployed.url) == "503", "a wrong name is refused")
    originate(lab, deployed, subjectAltNames=["one.target.test"])
    eventually(lambda: lab.status(deployed.client_namespace, deployed.url) == "200", "the right name is accepted")


def test_the_target_refuses_an_egress_gateway_with_a_certificate_of_another_ca(lab: Lab, deployed: Deployed) -> None:
    name = deployed.secret("client")
    own = secret(lab, "client", name)["data"]
    subject = x509.load_pem_x509_certificate(b64decode(own["tls.crt"])).subject
    foreign = foreign_credential(subject)
    stranger = {"tls.crt": b64encode(foreign.certificate).decode(), "tls.key": b64encode(foreign.key).decode()}

    def present(credential: dict[str, str]) -> None:
        patch = json.dumps({"data": {key: credential[key] for key in ("tls.crt", "tls.key")}})
        lab.kubectl("client", "-n", "istio-system", "patch", "secret", name, "-p", patch)

    present(stranger)
    # Open connections keep the certificate they began with; a cluster that changes begins new ones.
    originate(lab, deployed, subjectAltNames=["one.target.test", "unused.target.test"])
    eventually(lambda: lab.status(deployed.client_namespace, deployed.url) == "503", "a foreign certificate is refused")
    present(own)
    originate(lab, deployed, subjectAltNames=["one.target.test"])
    eventually(lambda: lab.status(deployed.client_namespace, deployed.url) == "200", "its own is accepted again")


def test_the_policy_alone_closes_the_way_out(lab: Lab, project: Project, deployed: Deployed) -> None:
    outside = ("-o", "/dev/null", "-w", "%{http_code}", "http://www.internet.test/")
    assert lab.curl(deployed.client_namespace, *outside) == (0, "503"), "the sidecar cannot connect"
    configure(deployed.stack, networkPolicy="false")
    deployed.stack.up()
    eventually(lambda: lab.curl(deployed.client_namespace, *outside) == (0, "200"), "without the policy all is open")
    verified = project.verify(deployed.stack)
    assert verified.returncode == 0, verified.stdout
    assert re.search("SKIP.*networkPolicy is false", verified.stdout), "what weakens security is said aloud"
    configure(deployed.stack, networkPolicy="true")
    deployed.stack.up()
    eventually(lambda: lab.curl(deployed.client_namespace, *outside) == (0, "503"), "with it all is closed again")


def test_the_verification_fails_when_a_promise_is_broken(lab: Lab, project: Project, deployed: Deployed) -> None:
    lab.kubectl("client", "-n", deployed.client_namespace, "delete", "destinationrule", "egressgateway-for-httpbin")
    verified = project.verify(deployed.stack, "--timeout", "20")
    assert verified.returncode == 1, verified.stdout
    assert re.search("FAIL plain HTTP leaves .*\n *saw: .*\n *look: ", verified.stdout), verified.stdout
    deployed.stack.up(refresh=True)
    verified = project.verify(deployed.stack)
    assert verified.returncode == 0, f"a refresh and an up repair it: {verified.stdout}"


def test_another_generation_reissues_everything_in_place(lab: Lab, project: Project, deployed: Deployed) -> None:
    places = (("target", "cert"), ("client", "tls.crt"))
    before = [secret(lab, side, deployed.secret(side)) for side, _ in places]
    configure(deployed.stack, generation="2")
    deployed.stack.up()
    after = [secret(lab, side, deployed.secret(side)) for side, _ in places]
    for (_, key), old, new in zip(places, before, after, strict=True):
        assert new["metadata"]["uid"] == old["metadata"]["uid"], "a Secret is never replaced under live traffic"
        assert serial(new["data"][key]) != serial(old["data"][key])
        assert all(new["data"][entry] != old["data"][entry] for entry in old["data"]), "keys and CA too"
    verified = project.verify(deployed.stack)
    assert verified.returncode == 0, verified.stdout
    deployed.stack.preview(expect_no_changes=True)


def test_two_stacks_share_the_clusters(project: Project, deployed: Deployed) -> None:
    other = project.stack("two", keyAlgorithm="RSA-2048")
    try:
        other.up()
        for stack in (other, deployed.stack):
            verified = project.verify(stack)
            assert verified.returncode == 0, f"{stack.name}: {verified.stdout}"
    finally:
        other.destroy()
    verified = project.verify(deployed.stack)
    assert verified.returncode == 0, f"the other stack's end does not matter: {verified.stdout}"


def test_a_stack_takes_nothing_that_is_anothers(project: Project, deployed: Deployed) -> None:
    configure(deployed.stack, namespace="left")
    deployed.stack.up()
    other = project.stack("two", namespace="right")
    try:
        with pytest.raises(automation.CommandError, match=r"conflict .*\.metadata\.annotations\.kyma-mtls/owner"):
            other.up()
    finally:
        other.destroy()
    verified = project.verify(deployed.stack)
    assert verified.returncode == 0, f"neither the other's up nor its destroy matters: {verified.stdout}"


def test_destroy_leaves_the_clusters_as_they_were_found(lab: Lab, deployed: Deployed) -> None:
    deployed.stack.destroy()
    for cluster, before in deployed.before.items():
        assert lab.objects(cluster) == before
