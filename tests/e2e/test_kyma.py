"""Platform kyma, as far as API servers with Kyma's CRDs can tell. Its controllers are not in the lab: the tests say and
do what the API Gateway module would, and no request is sent through an APIRule.
"""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from pulumi import automation

from tests.e2e.conftest import ROOT, Lab, Project, configure, eventually, meanwhile
from tests.e2e.test_gateway import presented

CRDS = ROOT.parent / "shared/crds"  # Kyma's, not the project's to publish; a checkout may have them beside it
ISTIO = """
apiVersion: operator.kyma-project.io/v1alpha2
kind: Istio
metadata: {name: default, namespace: kyma-system}
spec: {config: {numTrustedProxies: 1}}
"""

API_GATEWAY = """
apiVersion: operator.kyma-project.io/v1alpha1
kind: APIGateway
metadata: {name: default}
spec: {enableKymaGateway: true}
"""
KYMA_GATEWAY = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: kyma-gateway, namespace: kyma-system, labels: {kyma-project.io/module: api-gateway}}
spec:
  selector: {app: istio-ingressgateway, istio: ingressgateway}
  servers:
  - {port: {number: 80, name: http, protocol: HTTP}, hosts: ["*.local.kyma.dev"]}
"""
MODULE_LABEL = "kyma-project.io/module: api-gateway"
MODULE = "apigateway.operator.kyma-project.io/default"
GATEWAY = ("-n", "kyma-system", "gateway.networking.istio.io/kyma-gateway")
STACKS = ("taking", "late")
RULE = "apirule.v2.gateway.kyma-project.io/httpbin"
FINALIZER = "gateways.operator.kyma-project.io/kyma-gateway"

pytestmark = pytest.mark.skipif(not CRDS.is_dir(), reason=f"Kyma's CRDs are not in {CRDS}: platform kyma goes untested")


@pytest.fixture
def kyma(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Clusters whose API servers know what Kyma's do; the client's has an Istio CR."""
    directory = tmp_path_factory.mktemp("kyma")
    (directory / "client.yaml").write_text(ISTIO)
    (directory / "target.yaml").write_text(API_GATEWAY)
    for cluster in ("target", "client"):
        lab.kubectl(cluster, "apply", "--server-side", "-f", str(CRDS))
        lab.kubectl(cluster, "wait", "--for=condition=Established", "--timeout=60s", "-f", str(CRDS))
        lab.kubectl(cluster, "create", "namespace", "kyma-system")
        lab.kubectl(cluster, "apply", "--server-side", "-f", str(directory / f"{cluster}.yaml"))
    yield lab
    set_finalizers(lab)
    for cluster in ("target", "client"):
        lab.kubectl(cluster, "delete", "--ignore-not-found", "-f", str(CRDS))
        lab.kubectl(cluster, "delete", "namespace", "kyma-system")


def istio_spec(lab: Lab) -> dict[str, object]:
    found = lab.kubectl("client", "-n", "kyma-system", "get", "istio", "default", "-o", "json")
    return dict(json.loads(found)["spec"])


def module_spec(lab: Lab) -> dict[str, object]:
    return dict(json.loads(lab.kubectl("target", "get", MODULE, "-o", "json"))["spec"])


def is_kymas(lab: Lab) -> bool:
    """Whether the documented gateway is the operator's."""
    return MODULE_LABEL in lab.kubectl("target", "get", *GATEWAY, "-o", "yaml", check=False)


def say_ready(lab: Lab, namespace: str) -> None:
    ready = json.dumps({"status": {"state": "Ready"}})
    patch = ("patch", "-n", namespace, RULE, "--subresource=status", "--type=merge", "-p", ready)
    lab.kubectl("target", *patch, check=False)


def set_finalizers(lab: Lab, *finalizers: str) -> None:
    lab.kubectl("target", "patch", MODULE, "--type=merge", "-p", json.dumps({"metadata": {"finalizers": finalizers}}))


@contextmanager
def operated(lab: Lab, tmp_path: Path) -> Iterator[None]:
    """Do what the API Gateway module does about its gateway, and call every APIRule of a stack ready."""
    manifest = tmp_path / "gateway.yaml"
    manifest.write_text(KYMA_GATEWAY)

    def operate() -> None:
        module = json.loads(lab.kubectl("target", "get", MODULE, "-o", "json"))
        wanted, has = module["spec"].get("enableKymaGateway", False), "finalizers" in module["metadata"]
        if wanted and not has:
            set_finalizers(lab, FINALIZER)
            lab.kubectl("target", "apply", "-f", str(manifest))
        elif has and not wanted:
            lab.kubectl("target", "delete", *GATEWAY)
            set_finalizers(lab)
        for namespace in STACKS:
            say_ready(lab, namespace)

    operate()
    with meanwhile(operate):
        yield


def test_kymas_resources_are_accepted_and_waited_for_and_its_own_are_given_back(kyma: Lab, project: Project) -> None:
    before = istio_spec(kyma)
    stack = project.stack("kyma", platform="kyma", namespace="kyma-mtls-test")
    try:
        with ThreadPoolExecutor() as pool:
            up = pool.submit(stack.up)
            rule = ("get", "-n", "kyma-mtls-test", RULE)
            eventually(lambda: kyma.kubectl("target", *rule, check=False) != "", "the APIRule is accepted")
            assert not up.done(), "`pulumi up` waits until Kyma says that the APIRule is ready"
            say_ready(kyma, "kyma-mtls-test")
            up.result(timeout=120)
        assert istio_spec(kyma) == before | {"components": {"egressGateway": {"enabled": True}}}
        stack.preview(expect_no_changes=True)
    finally:
        stack.destroy()
    assert istio_spec(kyma) == before, "the Istio CR is Kyma's: it stays, and is as it was found"


def test_kymas_gateway_is_taken_over_and_given_back(kyma: Lab, project: Project, tmp_path: Path) -> None:
    config = {"platform": "kyma", "gatewayMode": "selfSigned", "gatewayDomain": "kyma.target.test"}
    stack, other = (project.stack(name, namespace=name, gatewayTakeOver="true", **config) for name in STACKS)
    with operated(kyma, tmp_path):
        before = kyma.objects("target")
        try:
            stack.up()
            configure(stack, gatewayTakeOver="false")
            stack.up()
            assert module_spec(kyma) == {"enableKymaGateway": True}
            eventually(lambda: is_kymas(kyma), "Kyma's own gateway is back")
            assert stack.outputs()["gateway"].value["gateway"] == f"{stack.name}/kyma-gateway"
            configure(stack, gatewayTakeOver="true")
            stack.up()
            assert module_spec(kyma) == {"enableKymaGateway": False}
            assert not is_kymas(kyma)
            gateway = stack.outputs()["gateway"].value
            assert gateway["gateway"] == "kyma-system/kyma-gateway"
            presented("x.kyma.target.test", gateway["caCertificate"])
            stack.preview(expect_no_changes=True)
            with pytest.raises(automation.CommandError, match=r"conflict .*\.metadata\.annotations\.kyma-mtls/owner"):
                other.up()
            other.destroy(run_program=True)
            assert module_spec(kyma) == {"enableKymaGateway": False}, "what the other did not get it does not give back"
            with pytest.raises(automation.CommandError, match="--run-program"):
                stack.destroy()
        finally:
            other.destroy(run_program=True)
            stack.destroy(run_program=True)
        assert module_spec(kyma) == {"enableKymaGateway": True}
        eventually(lambda: kyma.objects("target") == before, "Kyma's own gateway is back, and nothing else")
