"""Verdicts on objects by the status that their controllers write, each judge after its controller's source:

- APIRule: https://github.com/kyma-project/api-gateway (controllers/gateway)
- Istio CR: https://github.com/kyma-project/istio (controllers)
- Certificate: https://github.com/gardener/cert-management (pkg/controller/issuer/certificate)
- DNSEntry: https://github.com/gardener/external-dns-management (pkg/dns/provider)
- Deployment: https://github.com/kubernetes/kubectl (pkg/polymorphichelpers/rollout_status.go)
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .istio_gateway import DOCUMENTED_EGRESS
from .readiness import READY, Reader, Verdict, failing, silent, waiting

# Seconds. Kyma's API Gateway operator retries after 1, 2, 4, … s (-failure-base-delay 1s in its main.go): the sixth
# retry comes 63 s after the first failure.
KYMA_PATIENCE = 70
# The operator sees a change within a second; the times of managedFields are in whole seconds.
_KYMA_SECONDS = 3
# The Istio module's operator retries after a minute.
_ISTIO_PATIENCE = 90
# Gardener's controllers retry after two minutes, and after a day where only a user can solve the problem.
_GARDENER_PATIENCE = 150
_A_DAY = "24h"
# The kubelet retries after 10, 20, 40 s: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#restart-policy
_POD_PATIENCE = 60
_POD_COMPLAINTS = {
    "CrashLoopBackOff",
    "CreateContainerConfigError",
    "CreateContainerError",
    "ErrImageNeverPull",
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "RunContainerError",
}
_KYMA_IS_SILENT = (
    "Kyma's API Gateway operator has not looked at the latest change yet; does Deployment "
    "kyma-system/api-gateway-controller-manager run?"
)
_REVISION = "deployment.kubernetes.io/revision"


def api_rule(_: Reader, found: dict[str, Any]) -> Verdict:
    """Judge an APIRule by the state that Kyma's API Gateway module writes."""
    status = found.get("status") or {}
    changed, written = _times(found)
    if written < changed:
        return silent(_KYMA_IS_SILENT)
    match status.get("state"):
        case "Ready" if written == changed:
            return Verdict(ready=True, says="Ready in the second of the latest change", patience=_KYMA_SECONDS)
        case "Ready":
            return READY
        case "Error" | "Warning":
            return failing(_words(status, "description"), KYMA_PATIENCE)
        case None:
            return silent(_KYMA_IS_SILENT)
    return waiting(_words(status, "description"))


def egress_gateway(cluster: Reader, found: dict[str, Any]) -> Verdict:
    """Judge the Istio CR by the Deployment of the egress gateway, which Kyma's Istio module makes."""
    gateway = DOCUMENTED_EGRESS
    made = cluster.find("apps/v1", "Deployment", gateway.namespace, gateway.service)
    verdict = deployment(cluster, made) if made else waiting(f"there is no Deployment {gateway.name} yet")
    status = found.get("status") or {}
    if not verdict.ready and status.get("state") in {"Error", "Warning"}:
        # The operator retries an hour after a Warning, which often does not concern the egress gateway.
        return failing(_words(status, "description"), _ISTIO_PATIENCE)
    return verdict


def certificate(_: Reader, found: dict[str, Any]) -> Verdict:
    """Judge a Certificate by the state that Gardener's certificate management writes."""
    status = found.get("status") or {}
    if not _is_observed(found):
        return waiting("Gardener has not looked at the latest change yet")
    backoff = (status.get("backoff") or {}).get("recheckInterval", "")
    match status.get("state"):
        case "Ready":
            return READY
        case "Revoked":
            return failing(_words(status), 0)
        case "Error":
            return failing(_words(status), 0 if backoff.startswith(_A_DAY) else _GARDENER_PATIENCE)
        case "Waiting":
            return waiting(_words(status), warns=True)
    return waiting(_words(status))


def dns_entry(_: Reader, found: dict[str, Any]) -> Verdict:
    """Judge a DNSEntry by the state that Gardener's DNS management writes."""
    status = found.get("status") or {}
    if not _is_observed(found):
        return waiting("Gardener has not looked at the latest change yet")
    match status.get("state"):
        case "Ready":
            return READY
        case "Ignored":
            return failing(_words(status), 0)
        case "Error" | "Invalid" | "Stale":
            return failing(_words(status), _GARDENER_PATIENCE)
    return waiting(_words(status))


def deployment(cluster: Reader, found: dict[str, Any]) -> Verdict:
    """Judge a Deployment as `kubectl rollout status` does, and by the states of its Pods."""
    status, wanted = found.get("status") or {}, found["spec"].get("replicas", 1)
    updated = status.get("updatedReplicas", 0)
    if not _is_observed(found):
        return waiting("Kubernetes has not looked at the latest change yet")
    conditions = {condition["type"]: condition for condition in status.get("conditions", [])}
    if updated >= wanted == status.get("replicas", 0) and status.get("availableReplicas", 0) >= updated:
        return READY
    refused = conditions.get("ReplicaFailure", {})
    if refused.get("status") == "True":
        return failing(f"{refused.get('reason')}: {refused.get('message')}", _POD_PATIENCE)
    complaints = (complaint for pod in _pods(cluster, found) for complaint in _complaints(pod))
    if complaint := next(complaints, None):
        return complaint
    return waiting(f"{status.get('availableReplicas', 0)} of {wanted} Pods are available")


def _pods(cluster: Reader, found: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the Pods of the latest revision: problems of earlier ones no longer count."""
    namespace, labels = found["metadata"]["namespace"], found["spec"]["selector"].get("matchLabels", {})
    revision = found["metadata"].get("annotations", {}).get(_REVISION)
    latest = {
        each["metadata"]["name"]
        for each in cluster.items(f"/apis/apps/v1/namespaces/{namespace}/replicasets", labels)
        if each["metadata"].get("annotations", {}).get(_REVISION) == revision
    }
    for pod in cluster.items(f"/api/v1/namespaces/{namespace}/pods", labels):
        if latest & {owner["name"] for owner in pod["metadata"].get("ownerReferences", [])}:
            yield pod


def _complaints(pod: Mapping[str, Any]) -> Iterator[Verdict]:
    status, name = pod.get("status") or {}, pod["metadata"]["name"]
    for container in (*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])):
        state = container.get("state", {}).get("waiting") or {}
        if state.get("reason") in _POD_COMPLAINTS:
            yield failing(f"Pod {name}: {state['reason']}: {state.get('message', '')}".rstrip(": "), _POD_PATIENCE)
    for condition in status.get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            # The cluster may be adding nodes.
            yield waiting(f"Pod {name}: {condition.get('reason')}: {condition.get('message')}", warns=True)


def _is_observed(found: Mapping[str, Any]) -> bool:
    observed = (found.get("status") or {}).get("observedGeneration", 0)
    return bool(observed >= found["metadata"].get("generation", 0))


def _times(found: Mapping[str, Any]) -> tuple[str, str]:
    """Return when a stack last changed an object, and when its controller wrote the status.

    For kinds without observedGeneration. The controller wrote the status after it had read the object of that time: the
    API server refuses a status for an older version. An object without a change since its creation needs no comparison.
    """
    metadata = found["metadata"]
    entries = metadata.get("managedFields", []) if metadata.get("generation") != 1 else []
    changed = _latest(entry for entry in entries if not entry.get("subresource") and entry["operation"] == "Apply")
    written = _latest(entry for entry in entries if entry.get("subresource") == "status")
    return changed, written or ("" if changed else "never changed")


def _latest(entries: Iterable[Mapping[str, Any]]) -> str:
    return max((entry.get("time", "") for entry in entries), default="")


def _words(status: Mapping[str, Any], key: str = "message") -> str:
    state, message = status.get("state") or "no state yet", " ".join((status.get(key) or "").split())
    return f"{state}: {message}" if message else state
