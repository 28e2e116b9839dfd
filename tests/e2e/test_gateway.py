"""The Kyma gateway in the lab, in each of its certificate modes: real handshakes with the real Envoy."""

import json
import re
import shutil
import socket
import ssl
import subprocess
import sys
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from pulumi import automation

from lab.network import WEBSITE_ADDRESS
from settings.gateway import CIPHER_PROFILES
from tests.e2e.conftest import Lab, Project, configure, eventually, meanwhile
from tests.e2e.test_bad_input import refusal
from tests.unit.pki import Holder, ec_key, issue

ADDRESS = "10.77.0.11"
PROXY_ADDRESS = "10.77.0.99"
SCANNER = Path(__file__).with_name("scanner.txt")
OVERRIDES = {"installer": "overrides", "kyma-project.io/installation": ""}
KEY_MARKS = (
    "PRIVATE KEY",
    *(b64encode(b"-----BEGIN " + kind)[:24].decode() for kind in (b"PRIVATE", b"EC PRIV", b"RSA PRI")),
)
TAKING_OVER = {"gatewayTakeOver": "true", "gatewayApiserverProxy": "true", "gatewayLegacyInstaller": "true"}

ROOT_CA = issue("root")
MIDDLE_CA = issue("middle", ROOT_CA)


def own_config(server: Holder, domain: str) -> dict[str, str]:
    return {
        "gatewayMode": "own",
        "gatewayDomain": domain,
        "gatewayCertificate": server.pem + MIDDLE_CA.pem,
        "gatewayKey": server.key_pem,
    }


@contextmanager
def attended(lab: Lab, namespace: str = "kyma-system") -> Iterator[None]:
    """Stand in for what the lab has no controllers for: addresses of load balancers, and Gardener's DNS."""
    address = json.dumps({"status": {"loadBalancer": {"ingress": [{"ip": PROXY_ADDRESS}]}}})
    ready = json.dumps({"status": {"state": "Ready"}})
    patches = [("service", "apiserver-proxy-ssl", address)]
    patches += [("dnsentry", name, ready) for name in ("kyma-gateway", "apiserver-proxy")]

    def attend() -> None:
        for kind, name, patch in patches:
            what = ("-n", namespace, "patch", kind, name, "--subresource=status")
            lab.kubectl("target", *what, "--type=merge", "-p", patch, check=False)

    with meanwhile(attend):
        yield


def found(lab: Lab, kind: str, namespace: str, name: str) -> dict[str, Any]:
    """An object of the target cluster; Secrets with their data decoded."""
    item = json.loads(lab.kubectl("target", "-n", namespace, "get", kind, name, "-o", "json"))
    if kind == "secret":
        item["data"] = {key: b64decode(value).decode() for key, value in item.get("data", {}).items()}
    return dict(item)


def presented(host: str, ca: str = "") -> x509.Certificate:
    """The certificate that the gateway presents for a host; `ca` (PEM) must have signed it, if given."""
    context = ssl.create_default_context(cadata=ca) if ca else ssl._create_unverified_context()  # noqa: S323
    with (
        closing(socket.create_connection((ADDRESS, 443), 10)) as plain,
        context.wrap_socket(plain, server_hostname=host) as tls,
    ):
        return x509.load_der_x509_certificate(tls.getpeercert(binary_form=True) or b"")


def load(pem: str) -> x509.Certificate:
    """The first certificate of a PEM text."""
    return x509.load_pem_x509_certificate(pem.encode())


@dataclass
class Callers:
    """Connect anew without pause, and remember which certificate was seen and what was refused."""

    host: str
    ca: str
    seen: list[x509.Certificate] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def have_only(self, certificate: x509.Certificate) -> bool:
        """Whether they were presented this one alone lately."""
        return set(self.seen[-50:]) == {certificate}

    @contextmanager
    def running(self) -> Iterator[None]:
        with meanwhile(self._call, 0.005), meanwhile(self._call, 0.005):
            yield

    def _call(self) -> None:
        try:
            self.seen.append(presented(self.host, self.ca))
        except OSError as error:
            self.failures.append(str(error))


Scan = dict[str, list[str]]


@pytest.fixture(scope="session")
def scanner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """sslyze, in an environment of its own."""
    uv, environment = Path(sys.executable).with_name("uv"), tmp_path_factory.mktemp("scanner") / "venv"
    subprocess.run([uv, "venv", "--quiet", environment], check=True)
    python = environment / "bin" / "python"
    subprocess.run([uv, "pip", "install", "--quiet", "--require-hashes", "--python", python, "-r", SCANNER], check=True)
    return environment / "bin" / "sslyze"


def scan(scanner: Path, host: str, tmp_path: Path) -> Scan:
    """Names of the ciphers that the gateway accepts, for each protocol version from SSL 2.0 to TLS 1.3."""
    report = tmp_path / "scan.json"
    options = ["--sslv2", "--sslv3", "--tlsv1", "--tlsv1_1", "--tlsv1_2", "--tlsv1_3", "--json_out", str(report)]
    subprocess.run([scanner, *options, f"{host}:443{{{ADDRESS}}}"], check=True, capture_output=True)
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


@dataclass(frozen=True)
class Deployed:
    """A deployed stack, what `pulumi up` printed, and the target cluster's objects from before."""

    stack: automation.Stack
    printed: str
    before: set[str]

    @property
    def gateway(self) -> dict[str, Any]:
        return dict(self.stack.outputs()["gateway"].value)


@pytest.fixture(scope="module")
def default(lab: Lab, project: Project) -> Iterator[Deployed]:
    """The cluster's default gateway, with all that the documents tell of, by a CA of the stack's own."""
    before = lab.objects("target")
    config = {
        "gatewayMode": "selfSigned",
        "gatewayDomain": "kyma.target.test",
        "gatewayServiceEntries": "www.internet.test",
    }
    stack = project.stack("default", **config, **TAKING_OVER)
    with attended(lab):
        printed = stack.up().stdout
    yield Deployed(stack, printed, before)
    stack.destroy()


def expect_verified(project: Project, stack: automation.Stack) -> None:
    verified = project.verify(stack)
    assert verified.returncode == 0, verified.stdout
    assert "9 passed, 0 failed, 0 skipped" in verified.stdout


def test_the_verification_sees_every_promise_kept(project: Project, default: Deployed) -> None:
    expect_verified(project, default.stack)
    default.stack.preview(expect_no_changes=True)


def test_a_scanner_finds_modern_ciphers_only(scanner: Path, default: Deployed, tmp_path: Path) -> None:
    seen = scan(scanner, f"scan.{default.gateway['domain']}", tmp_path)
    expect_ciphers(seen, {name for name in CIPHER_PROFILES["modern"] if "-ECDSA-" in name})


def expect_table(lab: Lab, gateway: dict[str, Any]) -> None:
    """What the documents' tables have for a user's own certificate and for a self-signed one."""
    domain, data = gateway["domain"], found(lab, "secret", "istio-system", "kyma-gateway-certs")["data"]
    assert presented(f"x.{domain}") == load(data["tls.crt"])
    ca = {"cacert": gateway["caCertificate"]}
    assert found(lab, "secret", "istio-system", "kyma-gateway-certs-cacert")["data"] == ca
    assert found(lab, "secret", "kyma-system", "ingress-tls-cert")["data"] == {"tls.crt": data["tls.crt"]}
    overrides = found(lab, "configmap", "kyma-installer", "net-global-overrides")
    assert overrides["metadata"]["labels"] == OVERRIDES
    assert overrides["data"] == {
        "global.ingress.domainName": domain,
        "global.ingress.tlsCrt": b64encode(data["tls.crt"].encode()).decode(),
        "global.ingress.tlsKey": b64encode(data["tls.key"].encode()).decode(),
    }
    assert found(lab, "configmap", "kyma-system", "apiserver-proxy")["data"] == {"DOMAIN": domain}
    assert found(lab, "service", "kyma-system", "apiserver-proxy-ssl")["spec"]["type"] == "LoadBalancer"
    assert gateway["apiserverProxy"] == f"apiserver.{domain}"


def test_every_object_of_the_documents_table_is_there(lab: Lab, default: Deployed) -> None:
    expect_table(lab, default.gateway)
    presented("x.kyma.target.test", default.gateway["caCertificate"])
    proxy = load(found(lab, "secret", "kyma-system", "apiserver-proxy-tls-cert")["data"]["tls.crt"])
    names = proxy.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["apiserver.kyma.target.test"], "a certificate of its own"


def test_no_private_key_is_seen_outside_its_objects(project: Project, default: Deployed) -> None:
    outputs = json.dumps({key: output.value for key, output in default.stack.outputs().items()})
    for place, text in (("outputs", outputs), ("log", default.printed), ("state", project.state(default.stack))):
        assert not [mark for mark in KEY_MARKS if mark in text], f"a private key is in the {place}"


def test_an_application_is_exposed_by_the_gateway(lab: Lab, default: Deployed, tmp_path: Path) -> None:
    route = tmp_path / "route.yaml"
    spec = {
        "hosts": ["app.kyma.target.test"],
        "gateways": [default.gateway["gateway"]],
        "http": [{"directResponse": {"status": 200, "body": {"string": "hello"}}}],
    }
    metadata = {"name": "app", "namespace": "default"}
    route.write_text(
        json.dumps(
            {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": metadata, "spec": spec}
        )
    )
    lab.kubectl("target", "apply", "-f", str(route))
    try:
        context = ssl.create_default_context(cadata=default.gateway["caCertificate"])

        def answer() -> str:
            plain = socket.create_connection((ADDRESS, 443), 10)
            with closing(plain), context.wrap_socket(plain, server_hostname="app.kyma.target.test") as tls:
                tls.sendall(b"GET / HTTP/1.1\r\nHost: app.kyma.target.test\r\nConnection: close\r\n\r\n")
                return b"".join(iter(lambda: tls.recv(4096), b"")).decode()

        eventually(
            lambda: answer().startswith("HTTP/1.1 200") and answer().endswith("hello"), "the application answers"
        )
    finally:
        lab.kubectl("target", "delete", "-f", str(route))


def test_pods_leave_the_mesh_freely_and_a_named_host_is_known_to_it(lab: Lab, default: Deployed) -> None:
    namespace = default.stack.outputs()["target"].value["namespace"]
    inside = ("-n", namespace, "exec", "caller", "-c")
    lab.kubectl("target", "-n", namespace, "run", "caller", "--image=lab.local/curl:lab", "--", "/bin/sleep", "600")
    try:
        lab.kubectl("target", "-n", namespace, "wait", "--for=condition=Ready", "--timeout=60s", "pod/caller")
        for url in ("http://www.internet.test/", f"http://{WEBSITE_ADDRESS}/"):
            status = ("curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", url)
            assert lab.kubectl("target", *inside, "caller", "--", *status) == "200", url
        known = lab.kubectl("target", *inside, "istio-proxy", "--", "pilot-agent", "request", "GET", "clusters")
        assert re.search(r"outbound\|80\|\|www\.internet\.test::.*::rq_success::1\n", known), "by its ServiceEntry"
        assert re.search(r"PassthroughCluster::.*::rq_success::1\n", known), "an unknown one just passes"
    finally:
        lab.kubectl("target", "-n", namespace, "delete", "pod", "caller", "--now")


def test_a_second_stack_lives_beside_it_and_cannot_take_over(lab: Lab, project: Project, default: Deployed) -> None:
    config = {"gatewayMode": "selfSigned", "gatewayDomain": "beside.target.test", "gatewayLegacyInstaller": "true"}
    other = project.stack("beside", namespace="beside", **config)
    try:
        other.up()
        ca = {"cacert": other.outputs()["gateway"].value["caCertificate"]}
        assert found(lab, "secret", "istio-system", "kyma-gateway-certs-beside-cacert")["data"] == ca
        overrides = found(lab, "configmap", "beside", "net-global-overrides")
        assert overrides["data"]["global.ingress.domainName"] == "beside.target.test"
        expect_verified(project, other)
        expect_verified(project, default.stack)
        configure(other, gatewayTakeOver="true")
        with pytest.raises(automation.CommandError, match=r"conflict .*\.metadata\.annotations\.kyma-mtls/owner"):
            other.up()
    finally:
        other.destroy()
    expect_verified(project, default.stack)


def test_a_changed_certificate_reaches_envoy_without_a_refused_connection(default: Deployed) -> None:
    host, old_ca = "x.kyma.target.test", load(default.gateway["caCertificate"])
    old = presented(host)
    callers = Callers(host, ca="")
    with callers.running():
        configure(default.stack, generation="2")
        default.stack.up()
        eventually(lambda: old not in callers.seen[-50:], "the new certificate is presented")
    assert not callers.failures
    new_ca, new = load(default.gateway["caCertificate"]), callers.seen[-1]
    assert set(callers.seen) == {old, new}
    old.verify_directly_issued_by(old_ca)
    new.verify_directly_issued_by(new_ca)
    assert new_ca.public_key() != old_ca.public_key()


def test_the_documented_ciphers_are_served_to_the_letter(scanner: Path, default: Deployed, tmp_path: Path) -> None:
    configure(default.stack, gatewayCiphers="documented", gatewayKeyAlgorithm="RSA-2048")
    default.stack.up()
    host = "scan.kyma.target.test"
    eventually(lambda: isinstance(presented(host).public_key(), rsa.RSAPublicKey), "the RSA certificate is presented")
    documented = set(CIPHER_PROFILES["documented"])
    eventually(lambda: set(scan(scanner, host, tmp_path)["tls_1_2"]) == documented, "Envoy has the ciphers")
    expect_ciphers(scan(scanner, host, tmp_path), documented)


def test_destroy_leaves_the_cluster_as_it_was_found(lab: Lab, default: Deployed) -> None:
    default.stack.destroy()
    assert lab.objects("target") == default.before


def test_a_users_own_certificate_is_served_with_its_chain_and_changed_in_place(
    lab: Lab, project: Project, scanner: Path, tmp_path: Path
) -> None:
    domain, hosts = "own.target.test", ("*.own.target.test",)
    key = rsa.generate_private_key(65537, 2048)
    first, second = (issue("server", MIDDLE_CA, hosts=hosts, key=key) for _ in range(2))
    stack = project.stack("own", **TAKING_OVER, **own_config(first, domain))
    try:
        with attended(lab):
            stack.up()
        expect_verified(project, stack)
        gateway = stack.outputs()["gateway"].value
        expect_table(lab, gateway)
        assert gateway["caCertificate"] == MIDDLE_CA.pem
        proxy = found(lab, "secret", "kyma-system", "apiserver-proxy-tls-cert")["data"]
        assert proxy == {"tls.crt": first.pem + MIDDLE_CA.pem, "tls.key": first.key_pem}
        assert presented(f"x.{domain}", ROOT_CA.pem) == first.certificate, (
            "a client that has the root alone needs the chain"
        )
        expect_ciphers(
            scan(scanner, f"x.{domain}", tmp_path), {name for name in CIPHER_PROFILES["modern"] if "-RSA-" in name}
        )
        overrides = found(lab, "configmap", "kyma-installer", "my-certificate-overrides")
        assert overrides["metadata"]["labels"] == OVERRIDES
        decoded = {key: b64decode(value).decode() for key, value in overrides["data"].items()}
        assert decoded == {"global.tlsCrt": first.pem + MIDDLE_CA.pem, "global.tlsKey": first.key_pem}
        secret = found(lab, "secret", "istio-system", "kyma-gateway-certs")
        callers = Callers(f"x.{domain}", ROOT_CA.pem)
        with callers.running():
            configure(stack, **own_config(second, domain))
            stack.up()
            eventually(lambda: callers.have_only(second.certificate), "the new certificate is presented")
        assert not callers.failures, "every connection in between was served, by a certificate that verifies"
        assert first.certificate in callers.seen
        uid = found(lab, "secret", "istio-system", "kyma-gateway-certs")["metadata"]["uid"]
        assert uid == secret["metadata"]["uid"], "a Secret is never replaced under live traffic"
        state = project.state(stack)
        assert not [mark for mark in KEY_MARKS if mark in state]
    finally:
        stack.destroy()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"gatewayMode": "own"}, "kyma-mtls:gatewayCertificate: not set; gatewayMode own needs it"),
        (
            own_config(Holder(issue("server", MIDDLE_CA, hosts=("*.own.test",)).certificate, ec_key()), "own.test"),
            "kyma-mtls:gatewayKey: not the key of gatewayCertificate (CN=server)",
        ),
        (
            own_config(issue("server", MIDDLE_CA, hosts=("*.own.test",), end=timedelta(minutes=-1)), "own.test"),
            "kyma-mtls:gatewayCertificate: CN=server expired on ",
        ),
        (
            own_config(issue("server", MIDDLE_CA, hosts=("*.own.test",)), "other.test"),
            "kyma-mtls:gatewayCertificate: not for *.other.test, but for *.own.test",
        ),
        (
            {"gatewayMode": "selfSigned", "gatewayCiphers": "ECDHE-RSA-RC4-SHA"},
            "kyma-mtls:gatewayCiphers: 'ECDHE-RSA-RC4-SHA': 'ECDHE-RSA-RC4-SHA' is no cipher that Envoy knows",
        ),
        ({"gatewayMode": "gardener"}, "has no Gardener certificate management; set gatewayMode to another one"),
    ],
)
def test_bad_input_is_a_clear_error_at_preview(project: Project, config: dict[str, str], message: str) -> None:
    stack = project.stack("bad-gateway", **config)
    try:
        shown = refusal(stack)
        assert message in shown
        assert "PRIVATE KEY" not in shown
    finally:
        stack.workspace.remove_stack("bad-gateway")


def test_a_key_that_is_not_encrypted_is_refused(project: Project) -> None:
    stack = project.stack("bare-key")
    stack.set_config("kyma-mtls:gatewayKey", automation.ConfigValue(ec_key_pem()))
    try:
        assert "kyma-mtls:gatewayKey: not encrypted" in refusal(stack)
    finally:
        stack.workspace.remove_stack("bare-key")


def ec_key_pem() -> str:
    return issue("any").key_pem


def test_a_gateway_of_somebody_else_is_left_alone(lab: Lab, project: Project, tmp_path: Path) -> None:
    manifest = tmp_path / "gateway.yaml"
    server = {"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["*.taken.target.test"]}
    gateway = {"apiVersion": "networking.istio.io/v1", "kind": "Gateway", "spec": {"servers": [server]}}
    gateway["metadata"] = {"name": "kyma-gateway", "namespace": "kyma-system"}
    manifest.write_text(json.dumps(gateway))
    lab.kubectl("target", "create", "namespace", "kyma-system")
    lab.kubectl("target", "apply", "-f", str(manifest))
    stack = project.stack("late", gatewayMode="selfSigned", gatewayDomain="taken.target.test")
    try:
        assert "kyma-mtls:gatewayDomain: cluster https://10.77.0.11:6443 serves *.taken.target.test by" in refusal(
            stack
        )
        configure(stack, gatewayTakeOver="true")
        message = refusal(stack)
        assert "kyma-mtls:gatewayTakeOver: cluster https://10.77.0.11:6443 has /apis/networking.istio.io/v1/" in message
    finally:
        stack.workspace.remove_stack("late")
        lab.kubectl("target", "delete", "namespace", "kyma-system")


def test_a_demo_gets_its_domain_from_the_load_balancers_address(lab: Lab, project: Project) -> None:
    stack = project.stack("demo", gatewayMode="selfSigned", **TAKING_OVER)
    try:
        with attended(lab):
            stack.up()
        gateway = stack.outputs()["gateway"].value
        assert gateway["domain"] == "10-77-0-11.sslip.io"
        assert gateway["apiserverProxy"] == "apiserver.10-77-0-99.sslip.io"
        expect_verified(project, stack)
    finally:
        stack.destroy()


@pytest.fixture
def gardener(lab: Lab, tmp_path: Path) -> Iterator[x509.Certificate]:
    """Gardener's cert-controller-manager for the target cluster, an issuer of its own and a shoot's domain."""
    assert shutil.which("cert-controller-manager"), "it is an optional part: run `python -m lab build gardener`"
    crds = [
        str(shutil.which(f"crd-{plural}.yaml"))
        for plural in ("certificates", "certificaterevocations", "issuers", "dnsentries")
    ]
    for crd in crds:
        lab.kubectl("target", "apply", "--server-side", "-f", crd)
        lab.kubectl("target", "wait", "--for=condition=Established", "--timeout=60s", "-f", crd)
    ca = issue("Gardener's CA", end=timedelta(days=3650))
    (tmp_path / "ca.crt").write_text(ca.pem)
    (tmp_path / "ca.key").write_text(ca.key_pem)
    issuer = tmp_path / "issuer.yaml"
    secret = {"name": "ca", "namespace": "issuers"}
    resource = {
        "apiVersion": "cert.gardener.cloud/v1alpha1",
        "kind": "Issuer",
        "spec": {"ca": {"privateKeySecretRef": secret}},
    }
    issuer.write_text(json.dumps({**resource, "metadata": {"name": "lab", "namespace": "issuers"}}))
    lab.kubectl("target", "create", "namespace", "issuers")
    lab.kubectl(
        "target",
        "-n",
        "issuers",
        "create",
        "secret",
        "tls",
        "ca",
        "--cert",
        str(tmp_path / "ca.crt"),
        "--key",
        str(tmp_path / "ca.key"),
    )
    lab.kubectl("target", "apply", "-f", str(issuer))
    lab.kubectl(
        "target", "-n", "kube-system", "create", "configmap", "shoot-info", "--from-literal=domain=shoot.target.test"
    )
    command = ["cert-controller-manager", "--kubeconfig", str(lab.kubeconfig("target")), "--controllers", "issuer"]
    command += ["--issuer-namespace", "issuers", "--default-issuer", "lab", "--omit-lease", "--server-port-http", "0"]
    with (tmp_path / "log").open("w") as log:
        manager = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield ca.certificate
    finally:
        manager.terminate()
        manager.wait()
        lab.kubectl("target", "-n", "kube-system", "delete", "configmap", "shoot-info")
        lab.kubectl(
            "target",
            "-n",
            "issuers",
            "patch",
            "issuer",
            "lab",
            "--type=merge",
            "-p",
            '{"metadata":{"finalizers":null}}',
        )
        lab.kubectl("target", "delete", "namespace", "issuers")
        for crd in crds:
            lab.kubectl("target", "delete", "-f", crd)


def test_gardener_issues_and_renews_the_certificates(
    lab: Lab, project: Project, gardener: x509.Certificate, scanner: Path, tmp_path: Path
) -> None:
    before = lab.objects("target")
    stack = project.stack("gardener", gatewayMode="gardener", validityDays="90", **TAKING_OVER)
    try:
        with attended(lab):
            stack.up()
        gateway = stack.outputs()["gateway"].value
        assert gateway["domain"] == "shoot.target.test", "as the shoot says"
        assert load(gateway["caCertificate"]) == gardener
        expect_verified(project, stack)
        stack.preview(expect_no_changes=True)
        expect_ciphers(
            scan(scanner, "x.shoot.target.test", tmp_path),
            {name for name in CIPHER_PROFILES["modern"] if "-ECDSA-" in name},
        )
        expect_gardeners_table(lab, gateway)
        assert not [mark for mark in KEY_MARKS if mark in project.state(stack)]
        issued = found(lab, "secret", "istio-system", "kyma-gateway-certs")["data"]
        callers = Callers("x.shoot.target.test", gateway["caCertificate"])
        with callers.running():
            lab.kubectl(
                "target",
                "-n",
                "istio-system",
                "patch",
                "certificate.cert.gardener.cloud",
                "kyma-tls-cert",
                "--type=merge",
                "-p",
                '{"spec":{"renew":true}}',
            )
            old = load(issued["tls.crt"])
            eventually(lambda: old not in callers.seen[-50:], "the renewed certificate is presented")
        assert not callers.failures
        stack.up()
        renewed = found(lab, "secret", "istio-system", "kyma-gateway-certs")["data"]["tls.crt"]
        assert renewed != issued["tls.crt"]
        assert found(lab, "secret", "kyma-system", "ingress-tls-cert")["data"] == {"tls.crt": renewed}
        configure(stack, renewBeforeDays="20")
        stack.up()
        spec = found(lab, "certificate.cert.gardener.cloud", "istio-system", "kyma-tls-cert")["spec"]
        assert (spec["duration"], spec["renewBefore"]) == ("2160h0m0s", "480h0m0s")
    finally:
        stack.destroy()
    assert lab.objects("target") == before


def test_a_failure_of_gardener_ends_up_and_is_told(lab: Lab, project: Project, gardener: x509.Certificate) -> None:
    before = lab.objects("target")
    config = {"gatewayMode": "gardener", "gatewayDomain": "failing.target.test", "gatewayIssuer": "issuers/none"}
    config |= {"namespace": "failing", "gatewayWaitMinutes": "1"}
    stack = project.stack("failing", validityDays="90", **config)
    try:
        with pytest.raises(automation.CommandError) as caught:
            stack.up()
        assert re.search(r"Gardener says Error: .*none", str(caught.value)), str(caught.value)
        ingress = lab.kubectl("target", "get", "secrets", "-A", "--field-selector=metadata.name=ingress-tls-cert")
        assert ingress == "", "nothing goes out that was not issued"
        configure(stack, gatewayIssuer="issuers/lab")
        with attended(lab, "failing"):
            stack.up()
        assert presented("x.failing.target.test").issuer == gardener.subject, "the next `pulumi up` goes on"
        stack.preview(expect_no_changes=True)
    finally:
        stack.destroy()
    assert lab.objects("target") == before


def expect_gardeners_table(lab: Lab, gateway: dict[str, Any]) -> None:
    wildcard = found(lab, "certificate.cert.gardener.cloud", "istio-system", "kyma-tls-cert")
    assert (wildcard["spec"]["commonName"], wildcard["status"]["state"]) == ("*.shoot.target.test", "Ready")
    proxy = found(lab, "certificate.cert.gardener.cloud", "kyma-system", "apiserver-proxy-tls-cert")
    assert (proxy["spec"]["commonName"], proxy["status"]["state"]) == ("apiserver.shoot.target.test", "Ready")
    issued = found(lab, "secret", "istio-system", "kyma-gateway-certs")["data"]
    assert found(lab, "secret", "istio-system", "kyma-gateway-certs-cacert")["data"] == {
        "cacert": gateway["caCertificate"]
    }
    assert found(lab, "secret", "kyma-system", "ingress-tls-cert")["data"] == {"tls.crt": issued["tls.crt"]}
    assert found(lab, "configmap", "kyma-system", "apiserver-proxy")["data"] == {"DOMAIN": "shoot.target.test"}
    overrides = found(lab, "configmap", "kyma-installer", "net-global-overrides")
    assert overrides["metadata"]["labels"] == OVERRIDES
    assert overrides["data"] == {
        "global.domainName": "shoot.target.test",
        "global.ingress.domainName": "shoot.target.test",
    }
    entries = {name: found(lab, "dnsentry", "kyma-system", name) for name in ("kyma-gateway", "apiserver-proxy")}
    assert [entry["spec"] for entry in entries.values()] == [
        {"dnsName": "*.shoot.target.test", "ttl": 600, "targets": [ADDRESS]},
        {"dnsName": "apiserver.shoot.target.test", "ttl": 600, "targets": [PROXY_ADDRESS]},
    ]
