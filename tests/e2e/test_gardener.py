"""The Kyma gateway with certificates by Gardener, whose real controller is an optional part of the lab."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from settings.gateway import CIPHER_PROFILES
from tests.e2e.conftest import MANIFESTS, Lab, Project, eventually, refusal
from tests.e2e.gateway import (
    ADDRESS,
    ALL_PASSED,
    OVERRIDES,
    PROXY_ADDRESS,
    TAKING_OVER,
    Callers,
    attended,
    expect_no_private_key,
    load,
    presented,
)
from tests.unit.pki import issue

CERTIFICATE = "certificate.cert.gardener.cloud"
DOMAIN = "shoot.target.test"


@pytest.fixture
def gardener(lab: Lab, tmp_path: Path) -> Iterator[x509.Certificate]:
    """Gardener's cert-controller-manager for the target cluster, and a shoot's domain; gives the CA of its issuer."""
    assert shutil.which("cert-controller-manager"), "it is an optional part: run `python -m lab build gardener`"
    crds = [
        str(shutil.which(f"crd-{plural}.yaml"))
        for plural in ("certificates", "certificaterevocations", "issuers", "dnsentries")
    ]
    for crd in crds:
        lab.kubectl("target", "apply", "--server-side", "-f", crd)
        lab.kubectl("target", "wait", "--for=condition=Established", "--timeout=60s", "-f", crd)
    lab.kubectl("target", "apply", "-f", str(MANIFESTS / "gardener.yaml"))
    ca = issue("Gardener's CA", end=timedelta(days=3650))
    pair, metadata = {"tls.crt": ca.pem, "tls.key": ca.key_pem}, {"name": "ca", "namespace": "issuers"}
    secret = {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls"}
    lab.apply("target", {**secret, "metadata": metadata, "stringData": pair})
    command = ["cert-controller-manager", "--kubeconfig", str(lab.kubeconfig("target")), "--controllers", "issuer"]
    command += ["--issuer-namespace", "issuers", "--default-issuer", "lab", "--omit-lease", "--server-port-http", "0"]
    with (tmp_path / "log").open("w") as log:
        manager = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield ca.certificate
    finally:
        manager.terminate()
        manager.wait()
        free = '{"metadata":{"finalizers":null}}'
        lab.kubectl("target", "-n", "issuers", "patch", "issuer", "lab", "--type=merge", "-p", free)
        lab.kubectl("target", "delete", "-f", str(MANIFESTS / "gardener.yaml"))
        for crd in crds:
            lab.kubectl("target", "delete", "-f", crd)


def expect_documents_table(lab: Lab, gateway: dict[str, Any]) -> None:
    """What the documents' table has for a certificate by Gardener."""
    wildcard = lab.get("target", CERTIFICATE, "istio-system", "kyma-tls-cert")
    assert (wildcard["spec"]["commonName"], wildcard["status"]["state"]) == (f"*.{DOMAIN}", "Ready")
    proxy = lab.get("target", CERTIFICATE, "kyma-system", "apiserver-proxy-tls-cert")
    assert (proxy["spec"]["commonName"], proxy["status"]["state"]) == (f"apiserver.{DOMAIN}", "Ready")
    issued = lab.get("target", "secret", "istio-system", "kyma-gateway-certs")["data"]
    ca = lab.get("target", "secret", "istio-system", "kyma-gateway-certs-cacert")["data"]
    assert ca == {"cacert": gateway["caCertificate"]}
    assert lab.get("target", "secret", "kyma-system", "ingress-tls-cert")["data"] == {"tls.crt": issued["tls.crt"]}
    assert lab.get("target", "configmap", "kyma-system", "apiserver-proxy")["data"] == {"DOMAIN": DOMAIN}
    overrides = lab.get("target", "configmap", "kyma-installer", "net-global-overrides")
    assert overrides["metadata"]["labels"].items() >= OVERRIDES.items()
    assert overrides["data"] == {"global.domainName": DOMAIN, "global.ingress.domainName": DOMAIN}
    entries = [lab.get("target", "dnsentry", "kyma-system", name) for name in ("kyma-gateway", "apiserver-proxy")]
    assert [entry["spec"] for entry in entries] == [
        {"dnsName": f"*.{DOMAIN}", "ttl": 600, "targets": [ADDRESS]},
        {"dnsName": f"apiserver.{DOMAIN}", "ttl": 600, "targets": [PROXY_ADDRESS]},
    ]


def test_gardener_issues_and_renews_the_certificates(lab: Lab, project: Project, gardener: x509.Certificate) -> None:
    before = lab.objects("target")
    with project.deployment("gardener", gatewayMode="gardener", validityDays="90", **TAKING_OVER) as deployed:
        with attended(lab):
            deployed.up()
        gateway = deployed.outputs["gateway"]
        assert gateway["domain"] == DOMAIN, "as the shoot says"
        assert load(gateway["caCertificate"]) == gardener
        project.expect_verified(deployed.stack, ALL_PASSED)
        deployed.stack.preview(expect_no_changes=True)
        expect_documents_table(lab, gateway)
        expect_modern_ciphers(lab)
        expect_no_private_key(project.state(deployed.stack), "state")
        old = presented(f"x.{DOMAIN}", gateway["caCertificate"])
        callers = Callers(f"x.{DOMAIN}", gateway["caCertificate"])
        with callers.running():
            renew = ("patch", CERTIFICATE, "kyma-tls-cert", "--type=merge", "-p", '{"spec":{"renew":true}}')
            lab.kubectl("target", "-n", "istio-system", *renew)
            eventually(lambda: old not in callers.latest, "the renewed certificate is presented")
        assert not callers.failures
        deployed.up(renewBeforeDays="20")
        renewed = lab.get("target", "secret", "kyma-system", "ingress-tls-cert")["data"]
        assert load(renewed["tls.crt"]) == callers.seen[-1], "the next `pulumi up` propagates it"
        spec = lab.get("target", CERTIFICATE, "istio-system", "kyma-tls-cert")["spec"]
        assert (spec["duration"], spec["renewBefore"]) == ("2160h0m0s", "480h0m0s")
    assert lab.objects("target") == before


def expect_modern_ciphers(lab: Lab) -> None:
    """Those of the Gateway, which serves a key that has a cipher among them; what Envoy makes of it is known."""
    servers = lab.get("target", "gateway.networking.istio.io", "kyma-system", "kyma-gateway")["spec"]["servers"]
    assert servers[0]["tls"]["cipherSuites"] == list(CIPHER_PROFILES["modern"])
    assert isinstance(presented(f"x.{DOMAIN}").public_key(), ec.EllipticCurvePublicKey)


def test_failure_of_gardener_fails_up_with_its_message(lab: Lab, project: Project, gardener: x509.Certificate) -> None:
    before = lab.objects("target")
    config: dict[str, Any] = {
        "gatewayMode": "gardener",
        "gatewayDomain": "failing.target.test",
        "gatewayIssuer": "issuers/none",
    }
    config |= {"namespace": "failing", "gatewayWaitMinutes": "1", "validityDays": "90"}
    with project.deployment("failing", **config) as deployed:
        said = refusal(deployed.up)
        assert re.search(
            r"Certificate istio-system/kyma-tls-cert-failing is not ready after \d+ s: Error: .*none", said
        ), said
        ingress = lab.kubectl("target", "get", "secrets", "-A", "--field-selector=metadata.name=ingress-tls-cert")
        assert ingress == "", "nothing goes out that was not issued"
        with attended(lab, "failing"):
            deployed.up(gatewayIssuer="issuers/lab")
        assert presented("x.failing.target.test").issuer == gardener.subject, "the next `pulumi up` goes on"
        deployed.stack.preview(expect_no_changes=True)
    assert lab.objects("target") == before
