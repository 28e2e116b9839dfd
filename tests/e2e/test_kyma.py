"""Platform kyma, as far as API servers with Kyma's CRDs can tell. Its controllers are not in the lab: the test says
what the API Gateway module would, and no request is sent.
"""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e.conftest import ROOT, Lab, Project, eventually

CRDS = ROOT.parent / "shared/crds"
ISTIO = """
apiVersion: operator.kyma-project.io/v1alpha2
kind: Istio
metadata: {name: default, namespace: kyma-system}
spec: {config: {numTrustedProxies: 1}}
"""

pytestmark = pytest.mark.skipif(not CRDS.is_dir(), reason=f"Kyma's CRDs are not in {CRDS}: platform kyma goes untested")


@pytest.fixture
def kyma(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Clusters whose API servers know what Kyma's do; the client's has an Istio CR."""
    istio = tmp_path_factory.mktemp("kyma") / "istio.yaml"
    istio.write_text(ISTIO)
    for cluster in ("target", "client"):
        lab.kubectl(cluster, "apply", "--server-side", "-f", str(CRDS))
        lab.kubectl(cluster, "wait", "--for=condition=Established", "--timeout=60s", "-f", str(CRDS))
        lab.kubectl(cluster, "create", "namespace", "kyma-system")
    lab.kubectl("client", "apply", "-f", str(istio))
    yield lab
    for cluster in ("target", "client"):
        lab.kubectl(cluster, "delete", "--ignore-not-found", "-f", str(CRDS))
        lab.kubectl(cluster, "delete", "namespace", "kyma-system")


def istio_spec(lab: Lab) -> dict[str, object]:
    found = lab.kubectl("client", "-n", "kyma-system", "get", "istio", "default", "-o", "json")
    return dict(json.loads(found)["spec"])


def test_kymas_resources_are_accepted_and_waited_for_and_its_own_are_given_back(kyma: Lab, project: Project) -> None:
    before = istio_spec(kyma)
    stack = project.stack("kyma", platform="kyma", namespace="kyma-mtls-test")
    rule = ("-n", "kyma-mtls-test", "apirule.v2.gateway.kyma-project.io/httpbin")
    try:
        with ThreadPoolExecutor() as pool:
            up = pool.submit(stack.up)
            eventually(lambda: kyma.kubectl("target", "get", *rule, check=False) != "", "the APIRule is accepted")
            assert not up.done(), "`pulumi up` waits until Kyma says that the APIRule is ready"
            ready = json.dumps({"status": {"state": "Ready"}})
            kyma.kubectl("target", "patch", *rule, "--subresource=status", "--type=merge", "-p", ready)
            up.result(timeout=120)
        assert istio_spec(kyma) == before | {"components": {"egressGateway": {"enabled": True}}}
        stack.preview(expect_no_changes=True)
    finally:
        stack.destroy()
    assert istio_spec(kyma) == before, "the Istio CR is Kyma's: it stays, and is as it was found"
