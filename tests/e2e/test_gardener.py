"""The Kyma gateway with certificates and DNS entries by Gardener's real controllers, an optional part of the lab."""

import re
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from settings.gateway import CIPHER_PROFILES
from tests.e2e.support.gardener import CERTIFICATE, DOMAIN, ISSUER, shoot
from tests.e2e.support.gateway import (
    OVERRIDES,
    PROMISES,
    PROXY_ADDRESS,
    TAKING_OVER,
    Callers,
    attended,
    await_presented,
    expect_no_private_key,
    load,
    presented,
)
from tests.e2e.support.lab import Lab
from tests.e2e.support.project import Project
from tests.e2e.support.stack import Deployed, configure, refusal
from tests.e2e.support.waiting import eventually

FAILING = f"failing.{DOMAIN}"


@pytest.fixture(scope="module")
def gardener(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[x509.Certificate]:
    """A shoot as the target cluster; gives the CA of its issuer."""
    with shoot(lab, tmp_path_factory.mktemp("gardener")) as made:
        yield made.ca


@pytest.fixture(scope="module")
def before(lab: Lab, gardener: object) -> set[str]:  # noqa: ARG001 - whose objects are there before
    """The target's objects before the first test of the module."""
    return lab.objects("target")


@pytest.fixture(scope="module")
def failing(lab: Lab, project: Project, before: object) -> Iterator[tuple[Deployed, Future[str]]]:  # noqa: ARG001 - ditto
    """A stack for which Gardener does nothing, and what its `pulumi up` says after a minute, while other tests run."""
    hold_name(lab, f"*.{FAILING}")
    config: dict[str, Any] = {
        "namespace": "failing",
        "gatewayMode": "gardener",
        "gatewayDomain": FAILING,
        "gatewayWaitMinutes": "1",
        "gatewayIssuer": "issuers/none",
        "gatewayValidityDays": "90",
    }
    with project.deployment("failing", **config) as deployed, ThreadPoolExecutor() as pool:
        yield deployed, pool.submit(refusal, deployed.up)


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
        {"dnsName": f"*.{DOMAIN}", "ttl": 600, "targets": [lab.ingress]},
        {"dnsName": f"apiserver.{DOMAIN}", "ttl": 600, "targets": [PROXY_ADDRESS]},
    ]


@pytest.mark.usefixtures("failing")
def test_gardener_issues_and_renews_the_certificates(lab: Lab, project: Project, gardener: x509.Certificate) -> None:
    config: dict[str, Any] = {
        "namespace": "gardener",
        "gatewayMode": "gardener",
        "gatewayValidityDays": "90",
        **TAKING_OVER,
    }
    with project.deployment("gardener", **config) as deployed:
        with attended(lab):
            deployed.up()
        gateway = deployed.outputs["gateway"]
        assert gateway["domain"] == DOMAIN, "as the shoot says"
        assert load(gateway["caCertificate"]) == gardener
        project.expect_verified(deployed.stack, " 0 failed", "--read-only", "--only", *PROMISES)
        deployed.stack.preview(expect_no_changes=True)
        expect_documents_table(lab, gateway)
        expect_modern_ciphers(lab)
        expect_no_private_key(deployed.stack.state(), "state")
        old = presented(lab, f"x.{DOMAIN}", gateway["caCertificate"])
        callers = Callers(lab, f"x.{DOMAIN}", gateway["caCertificate"])
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
        with attended(lab, "gardener"):
            deployed.up(gatewayTakeOver="false", confirm=["gatewayTakeOver=false"])
        moved = lab.get("target", "dnsentry", "gardener", "kyma-gateway")
        assert (moved["spec"]["dnsName"], moved["status"]["state"]) == (f"*.{DOMAIN}", "Ready"), (
            "the old one went first"
        )
        deployed.stack.remove_config("kyma-mtls:gatewayValidityDays")
        configure(deployed.stack, gatewayMode="selfSigned")
        assert "kyma-mtls:gatewayMode: cannot change from gardener to " in refusal(deployed.stack.preview)


def expect_modern_ciphers(lab: Lab) -> None:
    """Those of the Gateway, which serves a key that has a cipher among them; what Envoy makes of it is known."""
    servers = lab.get("target", "gateway.networking.istio.io", "kyma-system", "kyma-gateway")["spec"]["servers"]
    assert servers[0]["tls"]["cipherSuites"] == list(CIPHER_PROFILES["modern"])
    assert isinstance(presented(lab, f"x.{DOMAIN}").public_key(), ec.EllipticCurvePublicKey)


def test_failures_of_gardener_fail_up_with_its_message(
    lab: Lab, gardener: x509.Certificate, failing: tuple[Deployed, Future[str]]
) -> None:
    deployed, said = failing[0], failing[1].result()
    assert re.search(r"Certificate istio-system/kyma-tls-cert-failing is not ready after .*Error: .*none", said), said
    busy = rf'Error: DNS name "\*\.{re.escape(FAILING)}" already busy for entry "issuers/holder"'
    assert re.search(rf"DNSEntry failing/kyma-gateway is not ready after \d+ s: {busy}", said), said
    ingress = lab.kubectl("target", "-n", "failing", "get", "secret", "ingress-tls-cert", "--ignore-not-found")
    assert ingress == "", "nothing goes out that was not issued"
    lab.kubectl("target", "-n", "issuers", "delete", "dnsentry", "holder")
    # Gardener tries a busy name again after ever longer pauses, which may exceed the patience of `pulumi up`.
    ready = ("--for=jsonpath={.status.state}=Ready", "--timeout=240s")
    lab.kubectl("target", "-n", "failing", "wait", *ready, "dnsentry/kyma-gateway")
    deployed.up(gatewayIssuer=ISSUER)
    await_presented(lab, f"x.{FAILING}", gardener.public_bytes(Encoding.PEM).decode())  # the next `pulumi up` goes on


def test_destroy_leaves_the_cluster_as_it_was_found(
    lab: Lab, before: set[str], failing: tuple[Deployed, Future[str]]
) -> None:
    failing[0].destroy()
    lab.expect_as_before({"target": before})


def hold_name(lab: Lab, host: str) -> None:
    """Create DNSEntry issuers/holder, which holds a name."""
    metadata = {"name": "holder", "namespace": "issuers", "annotations": {"dns.gardener.cloud/class": "garden"}}
    spec = {"dnsName": host, "targets": ["192.0.2.1"]}
    entry = {"apiVersion": "dns.gardener.cloud/v1alpha1", "kind": "DNSEntry", "metadata": metadata, "spec": spec}
    lab.apply("target", entry)
    ready = ("--for=jsonpath={.status.state}=Ready", "--timeout=240s")
    lab.kubectl("target", "-n", "issuers", "wait", *ready, "dnsentry/holder")
