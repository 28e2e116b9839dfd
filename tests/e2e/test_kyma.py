"""Platform kyma, as far as API servers with Kyma's CRDs can tell. Its controllers are not in the lab: the tests say and
do what the API Gateway module would, and no request is sent through an APIRule.
"""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from tests.e2e.conftest import MANIFESTS, ROOT, Deployed, Lab, Project, eventually, meanwhile, refusal
from tests.e2e.gateway import presented

CRDS = ROOT.parent / "shared/crds"  # Kyma's, not the project's to publish; a checkout may have them beside it
MODULE_LABEL = "kyma-project.io/module: api-gateway"
MODULE = "apigateway.operator.kyma-project.io"
GATEWAY = ("-n", "kyma-system", "gateway.networking.istio.io/kyma-gateway")
STACKS = ("taking", "late")
RULE = "apirule.v2.gateway.kyma-project.io/httpbin"
FINALIZER = "gateways.operator.kyma-project.io/kyma-gateway"

pytestmark = pytest.mark.skipif(not CRDS.is_dir(), reason=f"Kyma's CRDs are not in {CRDS}: platform kyma goes untested")


@pytest.fixture
def kyma(lab: Lab) -> Iterator[Lab]:
    """Clusters whose API servers know what Kyma's do, each with the CR of the module that it needs."""
    for cluster in ("target", "client"):
        lab.kubectl(cluster, "apply", "--server-side", "-f", str(CRDS))
        lab.kubectl(cluster, "wait", "--for=condition=Established", "--timeout=60s", "-f", str(CRDS))
        lab.kubectl(cluster, "create", "namespace", "kyma-system")
        lab.kubectl(cluster, "apply", "--server-side", "-f", str(MANIFESTS / f"kyma_{cluster}.yaml"))
    yield lab
    set_finalizers(lab)
    for cluster in ("target", "client"):
        lab.kubectl(cluster, "delete", "--ignore-not-found", "-f", str(CRDS))
        lab.kubectl(cluster, "delete", "namespace", "kyma-system")


def istio_spec(lab: Lab) -> dict[str, object]:
    return dict(lab.get("client", "istio", "kyma-system", "default")["spec"])


def module(lab: Lab) -> dict[str, Any]:
    return lab.get("target", MODULE, "", "default")


def is_kymas(lab: Lab) -> bool:
    """Whether the documented gateway is the operator's."""
    return MODULE_LABEL in lab.kubectl("target", "get", *GATEWAY, "-o", "yaml", check=False)


def say_ready(lab: Lab, namespace: str) -> None:
    ready = json.dumps({"status": {"state": "Ready"}})
    patch = ("patch", "-n", namespace, RULE, "--subresource=status", "--type=merge", "-p", ready)
    lab.kubectl("target", *patch, check=False)


def set_finalizers(lab: Lab, *finalizers: str) -> None:
    lab.kubectl(
        "target", "patch", MODULE, "default", "--type=merge", "-p", json.dumps({"metadata": {"finalizers": finalizers}})
    )


@contextmanager
def operated(lab: Lab) -> Iterator[None]:
    """Do what the API Gateway module does about its gateway, and call every APIRule of a stack ready."""

    def operate() -> None:
        found = module(lab)
        wanted, has = found["spec"].get("enableKymaGateway", False), "finalizers" in found["metadata"]
        if wanted and not has:
            set_finalizers(lab, FINALIZER)
            lab.kubectl("target", "apply", "-f", str(MANIFESTS / "kyma_gateway.yaml"))
        elif has and not wanted:
            lab.kubectl("target", "delete", *GATEWAY)
            set_finalizers(lab)
        for namespace in STACKS:
            say_ready(lab, namespace)

    operate()
    with meanwhile(operate):
        yield


def test_platform_kyma_waits_for_its_api_rule_and_gives_the_istio_cr_back(kyma: Lab, project: Project) -> None:
    before = istio_spec(kyma)
    with project.deployment("kyma", platform="kyma", namespace="kyma-mtls-test") as deployed:
        with ThreadPoolExecutor() as pool:
            up = pool.submit(deployed.up)
            rule = ("get", "-n", "kyma-mtls-test", RULE)
            eventually(lambda: kyma.kubectl("target", *rule, check=False) != "", "the APIRule is accepted")
            assert not up.done(), "`pulumi up` waits until Kyma says that the APIRule is ready"
            say_ready(kyma, "kyma-mtls-test")
            up.result(timeout=120)
        assert istio_spec(kyma) == before | {"components": {"egressGateway": {"enabled": True}}}
        deployed.stack.preview(expect_no_changes=True)
        for cluster in ("target", "client"):
            kyma.expect_no_complaint(cluster, "kyma-mtls-test")
    assert istio_spec(kyma) == before, "the Istio CR is Kyma's: it stays, and is as it was found"


def test_kymas_gateway_is_taken_over_and_given_back(kyma: Lab, project: Project) -> None:
    config = {"platform": "kyma", "gatewayMode": "selfSigned", "gatewayDomain": "kyma.target.test"}
    confirmed = ["gatewayTakeOver=false"]
    with operated(kyma):
        before = kyma.objects("target")
        with deployment(project, STACKS[0], **config) as first:
            first.up()
            first.up(gatewayTakeOver="false", confirm=confirmed)
            assert module(kyma)["spec"] == {"enableKymaGateway": True}
            eventually(lambda: is_kymas(kyma), "Kyma's own gateway is back")
            assert first.outputs["gateway"]["gateway"] == f"{STACKS[0]}/kyma-gateway"
            first.up(gatewayTakeOver="true", confirm=[*confirmed, "gatewayTakeOver=true"])
            assert module(kyma)["spec"] == {"enableKymaGateway": False}
            assert not is_kymas(kyma)
            gateway = first.outputs["gateway"]
            assert gateway["gateway"] == "kyma-system/kyma-gateway"
            presented("x.kyma.target.test", gateway["caCertificate"])
            first.stack.preview(expect_no_changes=True)
            with deployment(project, STACKS[1], **config) as other:
                assert re.search(r"conflict .*\.metadata\.labels\.kyma-mtls/owner", refusal(other.up))
            assert module(kyma)["spec"] == {"enableKymaGateway": False}, (
                "the other gives back nothing that it never had"
            )
            first.stack.preview(expect_no_changes=True)
            assert "--run-program" in refusal(first.stack.destroy)
        assert module(kyma)["spec"] == {"enableKymaGateway": True}
        eventually(lambda: is_kymas(kyma), "Kyma's own gateway is back")
        assert kyma.objects("target") == before, "and nothing else"


def deployment(project: Project, name: str, **config: str) -> AbstractContextManager[Deployed]:
    return project.deployment(name, run_program=True, namespace=name, gatewayTakeOver="true", **config)
