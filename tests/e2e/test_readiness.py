"""What `pulumi up` says of objects that do not become ready, and that the next one goes on."""

import re
import time

from tests.e2e.conftest import Lab, Project, configure, refusal

NAMESPACE = "readiness"
NO_PODS = {
    "apiVersion": "v1",
    "kind": "ResourceQuota",
    "metadata": {"name": "none", "namespace": NAMESPACE},
    "spec": {"hard": {"pods": "0"}},
}


def test_pods_that_cannot_start_fail_up_with_their_own_words(lab: Lab, project: Project) -> None:
    """One `pulumi up` for an image that is not there, and for a quota that admits no Pod."""
    with project.deployment("readiness", namespace=NAMESPACE) as deployed:
        deployed.up()
        lab.apply("client", NO_PODS)
        configure(deployed.stack, targetImage="lab.local/none:lab", clientImage="lab.local/another:lab")
        began = time.monotonic()
        said = refusal(deployed.stack.up)
        assert time.monotonic() - began < 150, "Kubernetes knew it from the beginning"
        assert re.search(r"warning: Deployment readiness/httpbin: Pod httpbin-\S+: ErrImagePull: .*none:lab", said), (
            said
        )
        assert re.search(r"Deployment readiness/httpbin is not ready after \d+ s: Pod httpbin-\S+: \w+: ", said), said
        assert re.search(r"Deployment readiness/curl is not ready after \d+ s: FailedCreate: .*exceeded quota", said), (
            said
        )
        assert "Traceback" not in said
        lab.kubectl("client", "-n", NAMESPACE, "delete", "resourcequota", "none")
        deployed.up(targetImage="lab.local/httpbin:lab", clientImage="lab.local/curl:lab")
        deployed.stack.preview(expect_no_changes=True)
        images = [
            lab.get(cluster, "deployment", NAMESPACE, name)["spec"]["template"]["spec"]["containers"][0]["image"]
            for cluster, name in (("target", "httpbin"), ("client", "curl"))
        ]
        assert images == ["lab.local/httpbin:lab", "lab.local/curl:lab"]
