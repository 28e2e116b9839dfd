"""The rotation of keys and CAs: without an interruption if it is planned, and at once if a key has leaked."""

import json
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from components.objects import domain_mark
from tests.e2e.support.commands import MANIFESTS
from tests.e2e.support.gateway import presented
from tests.e2e.support.lab import Lab
from tests.e2e.support.project import Project
from tests.e2e.support.stack import Deployed, refusal
from tests.e2e.support.traffic import Load, caller, open_connection, status_or_none
from tests.e2e.support.waiting import eventually, meanwhile
from verification.tls import ClientCredential

DOMAIN = "rotation.target.test"
URL = f"http://{DOMAIN}/headers"
# Istio's drainDuration, 45 s, and some for the way there.
DRAINED_SECONDS = 75
BASE: dict[str, Any] = {
    "namespace": "rotation",
    "clients": {"client": {"kubeconfig": ".lab/client.kubeconfig", "domain": "rotation.client.test"}},
    "hosts": {"httpbin": {"domain": DOMAIN}},
}


@pytest.fixture(scope="module")
def deployed(project: Project, lab: Lab) -> Iterator[Deployed]:  # noqa: ARG001 - it needs the lab
    with project.deployment("rotation", **BASE) as deployed:
        deployed.up()
        yield deployed


@contextmanager
def load(lab: Lab, deployed: Deployed) -> Iterator[Load]:
    """Requests from outside, with the credential and the CAs that are there now, and from the caller's Pod."""
    gateway, held = deployed.endpoint("httpbin"), deployed.credential("client")
    with caller(lab, "rotation", URL) as from_pod:
        requests = {"a new connection": lambda: status_or_none(gateway, held) == 200, "the Pod": from_pod}
        load = Load(requests, pause=0.1)
        with load.running():
            yield load


def shown(lab: Lab) -> str:
    """Return the hash of the certificate that the target sees when the Pod calls."""
    code, answer = lab.curl("rotation", URL)
    headers = json.loads(answer)["headers"] if code == 0 and answer.startswith("{") else {}
    elements = ";".join(headers.get("X-Forwarded-Client-Cert", [""])).replace(",", ";").split(";")
    return next((each.partition("=")[2] for each in elements if each.startswith("Hash=")), "")


def fingerprint(held: ClientCredential) -> str:
    return x509.load_pem_x509_certificate(held.certificate).fingerprint(hashes.SHA256()).hex()


def expect_generations(lab: Lab, deployed: Deployed, generations: str) -> None:
    """Expect one Secret of these generations on each side, and none of other ones."""
    for cluster, name in (("client", "client-credential-rotation"), ("target", "kyma-mtls-certs-rotation-httpbin")):
        names = lab.kubectl(cluster, "-n", "istio-system", "get", "secrets", "-o", "name").split()
        assert [each for each in names if "-rotation" in each] == [f"secret/{name}.{generations}"]
    eventually(lambda: shown(lab) == fingerprint(deployed.credential("client")), "its certificate is the one shown")


@contextmanager
def frozen(lab: Lab) -> Iterator[None]:
    """Let the client's cluster refuse another certificate for its gateway, as if it went out of reach."""
    policy = str(MANIFESTS / "no_rotation.yaml")
    rule = f"originate-mtls-for-rotation-httpbin-{domain_mark(DOMAIN)}"
    change = ("annotate", "destinationrule", rule, "tried=yes", "--dry-run=server")

    def accepts() -> bool:
        return bool(lab.kubectl("client", "-n", "istio-system", *change, check=False))

    lab.kubectl("client", "apply", "-f", policy)
    try:
        eventually(lambda: not accepts(), "the cluster refuses")
        yield
    finally:
        lab.kubectl("client", "delete", "-f", policy)
        eventually(accepts, "the cluster accepts again")


def has_changed_over(lab: Lab) -> bool:
    """Return whether the target serves with what the second step issues."""
    gateway = lab.get("target", "gateways.networking.istio.io", "rotation", "kyma-mtls-gateway-httpbin")
    return bool(gateway["spec"]["servers"][0]["tls"]["credentialName"] == "kyma-mtls-certs-rotation-httpbin.2.1")


def test_rotation_as_planned_fails_no_request_even_if_a_cluster_is_out_of_reach_half_way(
    lab: Lab, deployed: Deployed
) -> None:
    with load(lab, deployed) as running:
        deployed.up(trustedGenerations=["2"])
    assert not running.failures, "the new CA is trusted"
    expect_generations(lab, deployed, "1.2")
    old = presented(lab, DOMAIN)
    with load(lab, deployed) as running:
        with frozen(lab):
            for _ in range(10):  # the engine may give up before it comes to the target
                assert "is frozen" in refusal(lambda: deployed.up(generation="2", trustedGenerations=["1"]))
                if has_changed_over(lab):
                    break
            assert has_changed_over(lab)
            eventually(lambda: presented(lab, DOMAIN) != old, "the target presents the new certificate")
            assert lab.status("rotation", URL) == "200", "the old client certificate is good still"
        deployed.up()
    assert not running.failures, "old certificates are good still, and new ones already"
    expect_generations(lab, deployed, "2.1")
    with load(lab, deployed) as running:
        deployed.up(trustedGenerations=[])
        eventually(lambda: running.sent > 20, "the load is one")
    assert not running.failures, "the old CA is gone, and nobody needs it"
    expect_generations(lab, deployed, "2")


def test_rotation_of_a_leaked_generation_ends_open_connections_and_leaves_a_stack_beside_it_alone(
    lab: Lab, project: Project, deployed: Deployed
) -> None:
    leaked, before = deployed.credential("client"), deployed.endpoint("httpbin")
    seen: list[tuple[int, float]] = []
    with open_connection(before, leaked) as ask, meanwhile(lambda: seen.append((ask(), time.monotonic())), 0.1):
        eventually(lambda: bool(seen) and seen[-1][0] == 200, "the open connection is served")
        deployed.up(generation="3")
        rotated = time.monotonic()
        expect_generations(lab, deployed, "3")
        refused = partial(deployed.endpoint("httpbin").alert, leaked, ssl.TLSVersion.TLSv1_3)
        eventually(lambda: bool(refused()), "no new connection begins")
        # Another stack, of other keys, comes and goes in the same clusters while the gateway drains.
        with project.deployment("beside-rotation", keyAlgorithm="RSA-2048") as other:
            other.up()
            project.expect_working(other.stack)
            assert lab.status("rotation", URL) == "200", "the stack beside it is served as well"
        project.expect_working(deployed.stack)
        deployed.stack.preview(expect_no_changes=True)
        left = max(rotated + DRAINED_SECONDS - time.monotonic(), 0)
        eventually(lambda: seen[-1][0] == 0, "the open connection ends under steady traffic", left)
    ended = next(when for status, when in seen if status == 0)
    assert ended - rotated < DRAINED_SECONDS
    assert lab.status("rotation", URL) == "200", "new connections are served as before"
