"""What `pulumi up` says of objects that do not become ready, and that the next one goes on."""

import json
import re
import shutil
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from tests.e2e.support.commands import MANIFESTS
from tests.e2e.support.lab import Lab
from tests.e2e.support.project import Project
from tests.e2e.support.stack import Deployed, configure, refusal
from tests.e2e.support.waiting import eventually
from tests.unit.pki import issue

NAMESPACE = "readiness"
SHOOT = "client2"
RULE = "apirule.v2.gateway.kyma-project.io"
MODULE = "apigateway.operator.kyma-project.io"
ENTRY = ("dnsentry.dns.gardener.cloud", "kyma-gateway")
LEFT = ("-n", "istio-system")
OPERATORS = (
    (MODULE, "", "default"),
    ("gateway.networking.istio.io", "kyma-system", "kyma-gateway"),
    ("certificate.cert.gardener.cloud", "istio-system", "kyma-tls-cert"),
    (ENTRY[0], "kyma-system", ENTRY[1]),
)
GARDENERS = ("certificates", "dnsentries")
NO_PODS = {
    "apiVersion": "v1",
    "kind": "ResourceQuota",
    "metadata": {"name": "none", "namespace": NAMESPACE},
    "spec": {"hard": {"pods": "0"}},
}


@pytest.fixture(scope="module")
def failing(lab: Lab, project: Project) -> Iterator[tuple[Deployed, Future[str]]]:
    """A stack whose Pods cannot start any more, and what its `pulumi up` says in the end, while other tests run.

    One image is not there, and a quota admits no Pod.
    """
    with project.deployment("readiness", namespace=NAMESPACE) as deployed, ThreadPoolExecutor() as pool:
        deployed.up()
        lab.apply("client", NO_PODS)
        configure(deployed.stack, targetImage="lab.local/none:lab", clientImage="lab.local/another:lab")
        yield deployed, pool.submit(refusal, deployed.up)


@pytest.fixture
def shoot(lab: Lab) -> Iterator[None]:
    """A cluster as Kyma and Gardener have it, without their controllers, which the test plays."""
    crds = [str(MANIFESTS / "kyma_crds.yaml"), *(str(shutil.which(f"crd-{kind}.yaml")) for kind in GARDENERS)]
    try:
        lab.add_kinds(SHOOT, *crds)
        lab.kubectl(SHOOT, "apply", "-f", str(MANIFESTS / "shoot.yaml"))
        yield
    finally:
        lab.remove(SHOOT, str(MANIFESTS / "shoot.yaml"), "kyma-system", *crds)


def say(lab: Lab, state: str, description: str) -> None:
    """Say what the API Gateway module says of the APIRule."""
    status = json.dumps({"status": {"state": state, "description": description}})
    where = (SHOOT, "-n", NAMESPACE)
    lab.kubectl(where[0], *where[1:], "patch", RULE, "httpbin", "--subresource=status", "--type=merge", "-p", status)


def rule_generation(lab: Lab) -> int:
    found = lab.kubectl(SHOOT, "-n", NAMESPACE, "get", RULE, "httpbin", "-o", "json", check=False)
    return int(json.loads(found)["metadata"]["generation"]) if found else 0


def leave(lab: Lab) -> None:
    """Give the gateway up as Kyma's operator does; Gardener keeps the DNSEntry for now, and the Secret for ever."""
    for kind, namespace, name in OPERATORS[1:]:
        lab.kubectl(SHOOT, "-n", namespace, "delete", kind, name, "--wait=false")
    unfinalized = '{"metadata":{"finalizers":null}}'
    lab.kubectl(SHOOT, "patch", MODULE, "default", "--type=merge", "-p", unfinalized)


def is_enabled(lab: Lab) -> bool:
    return bool(lab.get(SHOOT, MODULE, "", "default")["spec"]["enableKymaGateway"])


@pytest.mark.usefixtures("failing", "shoot")
def test_controllers_are_listened_to_and_gateway_is_taken_over_when_it_is_gone(lab: Lab, project: Project) -> None:
    config: dict[str, Any] = {
        "platform": "kyma",
        "namespace": NAMESPACE,
        "target": {"kubeconfig": f".lab/{SHOOT}.kubeconfig"},
        "clients": {"acme": {"certificateAuthority": issue("acme").pem, "identity": "spiffe://acme.example/client"}},
        "gatewayMode": "selfSigned",
        "gatewayDomain": "kyma.readiness.test",
        "gatewayTakeOver": "true",
    }
    with project.deployment("shoot", run_program=True, **config) as deployed, ThreadPoolExecutor() as pool:
        lab.kubectl(
            SHOOT, *LEFT, "label", "secret", "kyma-gateway-certs", "cert.gardener.cloud/hash=another", "--overwrite"
        )
        said = refusal(deployed.stack.preview)
        assert (
            f"gatewayTakeOver: cluster {lab.server(SHOOT)} has Secret istio-system/kyma-gateway-certs already" in said
        )
        lab.kubectl(
            SHOOT, *LEFT, "label", "secret", "kyma-gateway-certs", "cert.gardener.cloud/hash=5ec", "--overwrite"
        )

        printed: list[str] = []
        up = pool.submit(deployed.stack.up, on_output=printed.append)
        eventually(lambda: not is_enabled(lab), "Kyma's operator is asked to leave")
        eventually(lambda: rule_generation(lab) == 1, "the APIRule is made")
        say(lab, "Error", "Validation errors: Host is occupied by another Virtual Service")
        leave(lab)
        told = (
            "warning: APIRule readiness/httpbin: Error: Validation errors: Host is occupied by another Virtual Service"
        )
        eventually(lambda: told in "".join(printed), "Kyma's complaint is told")
        say(lab, "Ready", "Reconciled successfully")
        left = lab.get(SHOOT, "secret", "istio-system", "kyma-gateway-certs")["metadata"]
        assert "kyma-mtls/owner" not in left["labels"], "the DNSEntry is still there"
        assert not up.done()
        lab.kubectl(
            SHOOT, "-n", "kyma-system", "patch", *ENTRY, "--type=merge", "-p", '{"metadata":{"finalizers":null}}'
        )
        up.result(timeout=240)
        ours = lab.get(SHOOT, "secret", "istio-system", "kyma-gateway-certs")["metadata"]
        assert "kyma-mtls/owner" in ours["labels"]
        assert ours["uid"] != left["uid"]
        deployed.stack.preview(expect_no_changes=True)

        printed.clear()
        configure(deployed.stack, hosts={"httpbin": {"domain": "shoot.target.test", "methods": ["GET", "POST"]}})
        up = pool.submit(deployed.stack.up, on_output=printed.append)
        eventually(lambda: rule_generation(lab) == 2, "the APIRule is updated")
        assert not up.done(), "it is Ready as it was before"
        say(lab, "Warning", "CRD is not present")
        eventually(lambda: "APIRule readiness/httpbin: Warning: CRD is not present" in "".join(printed), "it is told")
        say(lab, "Ready", "Reconciled successfully")
        up.result(timeout=240)
        say(lab, "Error", "what does not keep a stack from going")
    assert is_enabled(lab), "the gateway is given back"


def test_pods_that_cannot_start_fail_up_with_their_own_words(lab: Lab, failing: tuple[Deployed, Future[str]]) -> None:
    deployed, said = failing[0], failing[1].result(timeout=300)  # Kubernetes knew it from the beginning
    pod = r"Pod httpbin-\S+: "
    for line in (
        rf"warning: Deployment readiness/httpbin: {pod}ErrImagePull: .*none:lab",
        rf"Deployment readiness/httpbin is not ready after \d+ s: {pod}\w+: ",
        r"Deployment readiness/curl is not ready after \d+ s: FailedCreate: .*exceeded quota",
    ):
        assert re.search(line, said), said
    assert "Traceback" not in said
    lab.kubectl("client", "-n", NAMESPACE, "delete", "resourcequota", "none")
    deployed.up(targetImage="lab.local/httpbin:lab", clientImage="lab.local/curl:lab")
    deployed.stack.preview(expect_no_changes=True)
    images = [
        lab.get(cluster, "deployment", NAMESPACE, name)["spec"]["template"]["spec"]["containers"][0]["image"]
        for cluster, name in (("target", "httpbin"), ("client", "curl"))
    ]
    assert images == ["lab.local/httpbin:lab", "lab.local/curl:lab"]
