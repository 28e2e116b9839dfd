"""The Kyma gateway with a certificate of the stack's own CA or of the user: handshakes with the real Envoy."""

import http.client
import json
import re
import subprocess
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from lab.network import WEBSITE_ADDRESS
from settings.gateway import CIPHER_PROFILES
from tests.e2e.support.commands import MANIFESTS
from tests.e2e.support.gateway import (
    OVERRIDES,
    PROMISES,
    TAKING_OVER,
    Callers,
    attended,
    expect_no_private_key,
    load,
    presented,
)
from tests.e2e.support.lab import Lab
from tests.e2e.support.project import Project
from tests.e2e.support.stack import Deployed, configure, destroyed_at_the_end, policies_reported, refusal
from tests.e2e.support.waiting import eventually
from tests.unit.pki import Holder, issue
from verification.tls import Endpoint

DOMAIN = "kyma.target.test"
HOST = f"x.{DOMAIN}"

ROOT_CA = issue("root")
MIDDLE_CA = issue("middle", ROOT_CA)

Scan = dict[str, list[str]]


@pytest.fixture(scope="module")
def default(lab: Lab, project: Project, before: object) -> Iterator[Deployed]:  # noqa: ARG001 - which is asked for first
    """The stack of `make up`, whose gateway is the cluster's default one, with all else that the documents tell of."""
    with destroyed_at_the_end(project.lab_stack(), lab) as deployed:
        configure(deployed.stack, **TAKING_OVER, gatewayServiceEntries="www.internet.test")
        with attended(lab):
            deployed.up()
        yield deployed


@pytest.fixture(scope="module")
def beside(lab: Lab, project: Project, default: Deployed) -> Iterator[Deployed]:  # noqa: ARG001 - beside which it is
    """A gateway of a stack's own beside it, without a domain and with the documents' ciphers."""
    config = {"gatewayMode": "selfSigned", "gatewayCiphers": "documented", "gatewayKeyAlgorithm": "RSA-2048"}
    config |= {"namespace": "beside", "gatewayTakeOver": "false"}
    with project.deployment("beside", **TAKING_OVER | config) as stack:
        with attended(lab, "beside"):
            stack.up()
        yield stack


def scan(scanner: Path, address: str, domain: str, tmp_path: Path) -> Scan:
    """Return the names of the ciphers that the gateway accepts, for each protocol version from SSL 2.0 to TLS 1.3."""
    report = tmp_path / "scan.json"
    options = ["--sslv2", "--sslv3", "--tlsv1", "--tlsv1_1", "--tlsv1_2", "--tlsv1_3", "--json_out", str(report)]
    subprocess.run([scanner, *options, f"scan.{domain}:443{{{address}}}"], check=True, capture_output=True)
    (server,) = json.loads(report.read_text())["server_scan_results"]
    versions = [name for name in server["scan_result"] if name.endswith("_cipher_suites")]
    return {
        version.removesuffix("_cipher_suites"): [
            suite["cipher_suite"]["openssl_name"]
            for suite in server["scan_result"][version]["result"]["accepted_cipher_suites"]
        ]
        for version in versions
    }


def expect_ciphers(seen: Scan, tls_1_2: set[str]) -> None:
    assert [version for version, suites in seen.items() if suites] == ["tls_1_2", "tls_1_3"], seen
    assert set(seen["tls_1_2"]) == tls_1_2
    assert len(seen["tls_1_3"]) == 3, "a Gateway's ciphers say nothing about TLS 1.3"


def modern(key_type: str) -> set[str]:
    """Return the modern ciphers for keys of this type."""
    return {name for name in CIPHER_PROFILES["modern"] if f"-{key_type}-" in name}


def expect_documents_table(lab: Lab, gateway: dict[str, Any]) -> None:
    """Expect what the documents' tables have for a user's own certificate and for a self-signed one."""
    data = lab.get("target", "secret", "istio-system", "kyma-gateway-certs")["data"]
    assert presented(lab, HOST) == load(data["tls.crt"])
    ca = {"cacert": gateway["caCertificate"]}
    assert lab.get("target", "secret", "istio-system", "kyma-gateway-certs-cacert")["data"] == ca
    assert lab.get("target", "secret", "kyma-system", "ingress-tls-cert")["data"] == {"tls.crt": data["tls.crt"]}
    overrides = lab.get("target", "configmap", "kyma-installer", "net-global-overrides")
    assert overrides["metadata"]["labels"].items() >= OVERRIDES.items()
    assert overrides["data"] == {
        "global.ingress.domainName": DOMAIN,
        "global.ingress.tlsCrt": b64encode(data["tls.crt"].encode()).decode(),
        "global.ingress.tlsKey": b64encode(data["tls.key"].encode()).decode(),
    }
    assert lab.get("target", "configmap", "kyma-system", "apiserver-proxy")["data"] == {"DOMAIN": DOMAIN}
    assert lab.get("target", "service", "kyma-system", "apiserver-proxy-ssl")["spec"]["type"] == "LoadBalancer"
    assert (gateway["domain"], gateway["apiserverProxy"]) == (DOMAIN, f"apiserver.{DOMAIN}")


def test_gateway_has_no_changes_in_a_second_preview_and_violates_no_policy(
    default: Deployed, policy_pack: Path, tmp_path: Path
) -> None:
    # The overrides of the old installer hold the key: this stack asks for them.
    config = tmp_path / "policies.json"
    config.write_text(json.dumps({"no-key-in-config-maps": "advisory"}))
    packs, configs = [str(policy_pack)], [str(config)]
    printed = default.stack.preview(expect_no_changes=True, policy_packs=packs, policy_pack_configs=configs).stdout
    assert policies_reported(printed) == {"advisory no-key-in-config-maps"}
    expect_no_private_key(printed, "report")


def test_gateway_offers_a_scanner_modern_ciphers_alone(scanner: Path, default: Deployed, tmp_path: Path) -> None:
    expect_ciphers(scan(scanner, default.lab.ingress, default.outputs["gateway"]["domain"], tmp_path), modern("ECDSA"))


def test_gateway_has_the_objects_of_the_documents_table(lab: Lab, default: Deployed) -> None:
    gateway = default.outputs["gateway"]
    assert gateway["domain"] == DOMAIN
    expect_documents_table(lab, gateway)
    presented(lab, HOST, gateway["caCertificate"])
    proxy = load(lab.get("target", "secret", "kyma-system", "apiserver-proxy-tls-cert")["data"]["tls.crt"])
    names = proxy.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [f"apiserver.{DOMAIN}"], "a certificate of its own"


def test_gateway_has_private_keys_in_no_output_log_or_state(default: Deployed) -> None:
    expect_no_private_key(json.dumps(default.outputs), "outputs")
    expect_no_private_key(default.printed, "log")
    expect_no_private_key(default.stack.state(), "state")


def test_gateway_exposes_an_application(lab: Lab, default: Deployed) -> None:
    endpoint = Endpoint(f"app.{DOMAIN}", lab.ingress, default.outputs["gateway"]["caCertificate"])

    def answer() -> tuple[int, bytes]:
        with closing(http.client.HTTPConnection(endpoint.domain)) as connection:
            connection.sock = endpoint.connect(None)
            connection.request("GET", "/")
            response = connection.getresponse()
            return response.status, response.read()

    lab.kubectl("target", "apply", "-f", str(MANIFESTS / "application.yaml"))
    try:
        eventually(lambda: answer() == (200, b"hello"), "the application answers")
    finally:
        lab.kubectl("target", "delete", "-f", str(MANIFESTS / "application.yaml"))


def test_pods_leave_the_mesh_freely_and_service_entry_registers_a_host(lab: Lab, default: Deployed) -> None:
    namespace = default.outputs["target"]["namespace"]
    inside = ("-n", namespace, "exec", "caller", "-c")
    lab.kubectl("target", "-n", namespace, "run", "caller", "--image=lab.local/curl:lab", "--", "/bin/sleep", "600")
    try:
        lab.kubectl("target", "-n", namespace, "wait", "--for=condition=Ready", "--timeout=240s", "pod/caller")
        for url in ("http://www.internet.test/", f"http://{WEBSITE_ADDRESS}/"):
            status = ("curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", url)
            assert lab.kubectl("target", *inside, "caller", "--", *status) == "200", url
        known = lab.kubectl("target", *inside, "istio-proxy", "--", "pilot-agent", "request", "GET", "clusters")
        assert re.search(r"outbound\|80\|\|www\.internet\.test::.*::rq_success::1\n", known), "by its ServiceEntry"
        assert re.search(r"PassthroughCluster::.*::rq_success::1\n", known), "an unknown one just passes"
    finally:
        lab.kubectl("target", "-n", namespace, "delete", "pod", "caller", "--now")


def test_gateway_of_a_second_stack_has_names_of_its_own(lab: Lab, beside: Deployed) -> None:
    ca = {"cacert": beside.outputs["gateway"]["caCertificate"]}
    assert lab.get("target", "secret", "istio-system", "kyma-gateway-certs-beside-cacert")["data"] == ca
    overrides = lab.get("target", "configmap", "beside", "net-global-overrides")
    assert overrides["data"]["global.ingress.domainName"] == beside.outputs["gateway"]["domain"]


def test_gateway_without_a_domain_gets_one_from_the_addresses(beside: Deployed) -> None:
    gateway = beside.outputs["gateway"]
    assert gateway["domain"] == f"{beside.lab.ingress.replace('.', '-')}.sslip.io"
    assert gateway["apiserverProxy"] == "apiserver.10-77-0-99.sslip.io"


def test_gateway_serves_documented_ciphers_to_the_letter(scanner: Path, beside: Deployed, tmp_path: Path) -> None:
    expect_ciphers(
        scan(scanner, beside.lab.ingress, beside.outputs["gateway"]["domain"], tmp_path),
        set(CIPHER_PROFILES["documented"]),
    )


def test_gateway_of_a_second_stack_lives_beside_the_default_one_and_cannot_take_it_over(
    lab: Lab, project: Project, default: Deployed, beside: Deployed
) -> None:
    certificate = lab.get("target", "secret", "istio-system", "kyma-gateway-certs")
    configure(beside.stack, gatewayTakeOver="true", confirm=["gatewayTakeOver=true"])
    said = refusal(beside.up)  # as the preview of a stack that finds a user's own gateway, see test_bad_input
    assert re.search(r"has \w+ \S*kyma-\S+ already, and another stack made it; remove it", said), said
    assert lab.get("target", "secret", "istio-system", "kyma-gateway-certs") == certificate
    with attended(lab, "beside"):
        beside.up(gatewayTakeOver="false", confirm=["gatewayTakeOver=true", "gatewayTakeOver=false"])
    project.expect_working(beside.stack, default.stack)  # the latter is the stack of `make up`


def test_gateway_changes_its_certificate_without_a_refused_connection(lab: Lab, default: Deployed) -> None:
    old_ca, old = load(default.outputs["gateway"]["caCertificate"]), presented(lab, HOST)
    callers = Callers(lab, HOST)
    with callers.running():
        default.up(generation="2")
        eventually(lambda: old not in callers.latest, "the new certificate is presented")
    assert not callers.failures
    new_ca, new = load(default.outputs["gateway"]["caCertificate"]), callers.seen[-1]
    assert set(callers.seen) == {old, new}
    old.verify_directly_issued_by(old_ca)
    new.verify_directly_issued_by(new_ca)
    assert new_ca.public_key() != old_ca.public_key()


def own_config(server: Holder) -> dict[str, Any]:
    certificate = {"gatewayCertificate": server.pem + MIDDLE_CA.pem, "gatewayKey": server.key_pem}
    return {"gatewayMode": "own", "gatewayDomain": DOMAIN, **certificate}


def test_gateway_takes_the_users_own_certificate_and_a_renewed_one_in_place(
    lab: Lab, scanner: Path, default: Deployed, tmp_path: Path
) -> None:
    old, uid = presented(lab, HOST), certificate_uid(lab)
    own = issue("server", MIDDLE_CA, hosts=(f"*.{DOMAIN}",), key=rsa.generate_private_key(65537, 2048))
    callers = Callers(lab, HOST)
    with callers.running():
        default.up(**own_config(own))
        eventually(lambda: callers.latest == {own.certificate}, "the user's certificate is presented")
    assert not callers.failures
    assert set(callers.seen) == {old, own.certificate}
    assert certificate_uid(lab) == uid, "a Secret is never replaced under live traffic"
    expect_documents_table(lab, default.outputs["gateway"])
    assert default.outputs["gateway"]["caCertificate"] == MIDDLE_CA.pem
    proxy = lab.get("target", "secret", "kyma-system", "apiserver-proxy-tls-cert")["data"]
    assert proxy == {"tls.crt": own.pem + MIDDLE_CA.pem, "tls.key": own.key_pem}
    overrides = lab.get("target", "configmap", "kyma-installer", "my-certificate-overrides")
    assert overrides["metadata"]["labels"].items() >= OVERRIDES.items()
    decoded = {key: b64decode(value).decode() for key, value in overrides["data"].items()}
    assert decoded == {"global.tlsCrt": own.pem + MIDDLE_CA.pem, "global.tlsKey": own.key_pem}
    expect_ciphers(scan(scanner, lab.ingress, DOMAIN, tmp_path), modern("RSA"))

    renewed = issue("server", MIDDLE_CA, hosts=(f"*.{DOMAIN}",))
    callers = Callers(lab, HOST, ROOT_CA.pem)  # who has the root alone needs the chain
    with callers.running():
        default.up(**own_config(renewed))
        eventually(lambda: callers.latest == {renewed.certificate}, "the renewed certificate is presented")
    assert not callers.failures, "every connection in between was served, by a certificate that verifies"
    assert set(callers.seen) == {own.certificate, renewed.certificate}
    assert certificate_uid(lab) == uid  # what else the stack has is verified once the other stack is gone
    expect_no_private_key(default.stack.state(), "state")


def certificate_uid(lab: Lab) -> str:
    return str(lab.get("target", "secret", "istio-system", "kyma-gateway-certs")["metadata"]["uid"])


def test_destroy_leaves_the_clusters_as_they_were_found(
    lab: Lab, project: Project, default: Deployed, beside: Deployed, before: dict[str, set[str]]
) -> None:
    beside.destroy()
    # The stack's objects and no other ones, its Kyma gateway with the user's own certificate, and its hosts.
    project.expect_verified(default.stack, " 0 failed", "--read-only", "--only", *PROMISES)
    default.destroy()
    lab.expect_as_before(before)
