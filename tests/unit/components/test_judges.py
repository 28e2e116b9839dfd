"""Verdicts on the states that controllers write."""

import math
from typing import Any

import pytest

from components import judges
from components.readiness import READY, Judge, Verdict, failing, silent, waiting
from tests.unit.fakes import fake_cluster

EGRESS_GATEWAY = "/apis/apps/v1/namespaces/istio-system/deployments/istio-egressgateway"
REPLICA_SETS = "/apis/apps/v1/namespaces/mtls/replicasets?labelSelector=app%3Dhttpbin"
PODS = "/api/v1/namespaces/mtls/pods?labelSelector=app%3Dhttpbin"
NO_CLUSTER = fake_cluster()
OCCUPIED = "Validation errors: Attribute 'spec.hosts[0]': Host is occupied by another Virtual Service"


def asked(state: str = "", *, generation: int = 1, observed: int = 1, **status: Any) -> dict[str, Any]:
    """Return an object with its controller's status."""
    said = {"observedGeneration": observed} | ({"state": state} if state else {}) | status
    return {"metadata": {"generation": generation}, "status": said}


def rule(state: str, *, changed: str = "", written: str = "", **status: Any) -> dict[str, Any]:
    """Return an APIRule, with the times of the stack's latest change and of the status."""
    entries = [
        {"operation": "Apply", "manager": "pulumi-kubernetes", "time": changed},
        {"operation": "Update", "manager": "manager", "time": "2026-11-24T10:00:59Z"},
        {"operation": "Update", "manager": "manager", "subresource": "status", "time": written},
    ]
    metadata = {"generation": 2, "managedFields": entries} if changed else {"generation": 1}
    return {"metadata": metadata, "status": {"state": state, **status}}


SILENT = (
    "Kyma's API Gateway operator has not looked at the latest change yet; does Deployment "
    "kyma-system/api-gateway-controller-manager run?"
)


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        ({"metadata": {"generation": 1}}, silent(SILENT)),
        (rule("Processing", description="Reconciling"), waiting("Processing: Reconciling")),
        (rule("Ready"), READY),
        (rule("Error", description=OCCUPIED), failing(f"Error: {OCCUPIED}", 70)),
        (rule("Warning", description="CRD\nis not present"), failing("Warning: CRD is not present", 70)),
    ],
)
def test_api_rule_is_judged_by_its_state(found: dict[str, Any], verdict: Verdict) -> None:
    assert judges.api_rule(NO_CLUSTER, found) == verdict


@pytest.mark.parametrize("state", ["Ready", "Error"])
def test_api_rule_state_from_before_the_change_does_not_count(state: str) -> None:
    found = rule(state, changed="2026-11-24T10:00:05Z", written="2026-11-24T10:00:04Z")
    assert judges.api_rule(NO_CLUSTER, found) == silent(SILENT)
    found = rule("Ready", changed="2026-11-24T10:00:05Z", written="2026-11-24T10:00:06Z")
    assert judges.api_rule(NO_CLUSTER, found) == READY


def test_api_rule_ready_in_the_second_of_its_change_must_stay_ready() -> None:
    found = rule("Ready", changed="2026-11-24T10:00:05Z", written="2026-11-24T10:00:05Z")
    verdict = judges.api_rule(NO_CLUSTER, found)
    assert (verdict.ready, verdict.patience) == (True, 3), "the state may be that of before"


@pytest.mark.parametrize("judge", [judges.certificate, judges.dns_entry])
def test_gardener_objects_are_ready_once_their_latest_change_is(judge: Judge) -> None:
    assert judge(NO_CLUSTER, asked("Ready")) == READY
    for early in ({"metadata": {"generation": 1}}, asked("Ready", generation=2), asked("Error", generation=2)):
        assert judge(NO_CLUSTER, early) == waiting("Gardener has not looked at the latest change yet")
    assert judge(NO_CLUSTER, asked()) == waiting("no state yet")
    assert judge(NO_CLUSTER, asked("Pending", message="requested")) == waiting("Pending: requested")


@pytest.mark.parametrize(
    ("judge", "found", "verdict"),
    [
        (judges.certificate, asked("Error", message="no such issuer"), failing("Error: no such issuer", 150)),
        (
            judges.certificate,
            asked("Error", message="no such issuer", backoff={"recheckInterval": "2m0s"}),
            failing("Error: no such issuer", 150),
        ),
        (
            judges.certificate,
            asked("Error", message="not in domain ranges", backoff={"recheckInterval": "24h0m0s"}),
            failing("Error: not in domain ranges", 0),
        ),
        (judges.certificate, asked("Revoked", message="it is"), failing("Revoked: it is", 0)),
        (judges.certificate, asked("Waiting", message="quota"), waiting("Waiting: quota", warns=True)),
        (judges.dns_entry, asked("Error", message="already busy"), failing("Error: already busy", 150)),
        (judges.dns_entry, asked("Stale", message="no provider"), failing("Stale: no provider", 150)),
        (judges.dns_entry, asked("Invalid", message="no address"), failing("Invalid: no address", 150)),
        (judges.dns_entry, asked("Ignored", message="annotated"), failing("Ignored: annotated", 0)),
    ],
)
def test_gardener_complaints_stand_until_the_next_retry(judge: Judge, found: dict[str, Any], verdict: Verdict) -> None:
    assert judge(NO_CLUSTER, found) == verdict


def deployment(*, available: int = 1, updated: int = 1, total: int = 1, **changed: Any) -> dict[str, Any]:
    status = {"observedGeneration": 2, "replicas": total, "updatedReplicas": updated, "availableReplicas": available}
    metadata = {
        "name": "httpbin",
        "namespace": "mtls",
        "generation": 2,
        "annotations": {"deployment.kubernetes.io/revision": "2"},
    }
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": "httpbin"}}}
    return {"metadata": metadata, "spec": spec, "status": status | changed}


def pod(replica_set: str, **status: Any) -> dict[str, Any]:
    metadata = {"name": f"{replica_set}-1", "ownerReferences": [{"name": replica_set}]}
    return {"metadata": metadata, "status": status}


def stuck(reason: str, message: str = "why") -> list[dict[str, Any]]:
    return [{"state": {"waiting": {"reason": reason, "message": message}}}]


def judged(*pods: dict[str, Any], **changed: Any) -> Verdict:
    """Return the verdict on a Deployment whose second revision rolls out."""
    replica_sets = [
        {"metadata": {"name": name, "annotations": {"deployment.kubernetes.io/revision": revision}}}
        for name, revision in (("httpbin-old", "1"), ("httpbin-new", "2"))
    ]
    cluster = fake_cluster({REPLICA_SETS: {"items": replica_sets}, PODS: {"items": list(pods)}})
    return judges.deployment(cluster, deployment(**changed))


def test_deployment_is_ready_when_it_rolled_out() -> None:
    assert judged() == READY
    assert judged(observedGeneration=1) == waiting("Kubernetes has not looked at the latest change yet")
    assert judged(available=0) == waiting("0 of 1 Pods are available")
    assert judged(total=2) == waiting("1 of 1 Pods are available"), "an old one is still there"
    assert judged(updated=0) == waiting("1 of 1 Pods are available"), "that is the old one"


@pytest.mark.parametrize(
    "reason", ["ErrImagePull", "ImagePullBackOff", "InvalidImageName", "CreateContainerConfigError", "CrashLoopBackOff"]
)
@pytest.mark.parametrize("containers", ["containerStatuses", "initContainerStatuses"])
def test_pod_that_cannot_start_is_a_complaint(reason: str, containers: str) -> None:
    status: dict[str, Any] = {containers: stuck(reason)}
    verdict = judged(pod("httpbin-new", **status), available=0)
    assert verdict == failing(f"Pod httpbin-new-1: {reason}: why", 60)


def test_pods_that_start_or_are_of_earlier_revisions_are_no_complaint() -> None:
    starting, earlier = (
        pod("httpbin-new", containerStatuses=stuck("PodInitializing")),
        pod("httpbin-old", containerStatuses=stuck("ErrImagePull")),
    )
    assert judged(starting, earlier, available=0).patience == math.inf


def test_pods_that_the_api_server_refuses_are_a_complaint() -> None:
    refused = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "exceeded quota: none"}
    assert judged(available=0, updated=0, conditions=[refused]) == failing("FailedCreate: exceeded quota: none", 60)
    assert judged(available=0, conditions=[{**refused, "status": "False"}]).patience == math.inf


def test_pod_that_waits_for_a_node_is_a_warning_and_no_complaint() -> None:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no node"}
    verdict = judged(pod("httpbin-new", conditions=[condition]), available=0)
    assert verdict == waiting("Pod httpbin-new-1: Unschedulable: no node", warns=True)


def test_istio_cr_is_ready_when_its_egress_gateway_is() -> None:
    def verdict(module: dict[str, Any], gateway: dict[str, Any] | None) -> Verdict:
        found = {EGRESS_GATEWAY: gateway} if gateway else {}
        return judges.egress_gateway(fake_cluster(found), module)

    missing = waiting("there is no Deployment istio-system/istio-egressgateway yet")
    for state in ("", "Ready", "Processing"):
        assert verdict(asked(state), None) == missing, "the state may be from before the change"
    assert verdict(asked("Error", description="no image"), None) == failing("Error: no image", 90)
    assert verdict(asked("Processing"), deployment(available=0)) == waiting("0 of 1 Pods are available")
    for state in ("Ready", "Warning", "Error"):
        assert verdict(asked(state), deployment()) == READY, "the rest is not the stack's"
