"""Manifests of what an attacker creates in a cluster: a namespace, an account, Pods, and objects of Istio's networking.

Each has a label with the stack's mark and one with its run: a later run removes only what a killed run left, see
sweeping.py. Whatever becomes of the run, Kubernetes ends its Pods and deletes its routes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

LABEL = "kyma-mtls/verification"
RUN = "kyma-mtls/verification-run"
"""The label with the id of the run that created an object."""
LIFETIME = timedelta(hours=1)
"""Of a Pod, which the cluster then ends, and of all use that a run makes of a cluster."""
ROUTE_LIFETIME = timedelta(minutes=5)
"""Of an object of Istio's networking, which the cluster then deletes."""
GROUP = "networking.istio.io"
ACCOUNT = "attacker"

_INJECTION_LABELS = ("istio-injection", "istio.io/rev")
_INJECT = "sidecar.istio.io/inject"


@dataclass(frozen=True)
class Manifests:
    """Makes manifests for one cluster.

    mark: the stack's, the value of the label
    run: the id of the run, the value of the other label
    image: of the Pods' container; it has curl and sleep
    """

    mark: str
    run: str
    image: str

    def namespace(self, name: str, labels_of_stack_namespace: Mapping[str, str]) -> Any:
        """Return a namespace whose Pods get sidecars as those of the stack's namespace do."""
        injection = {key: value for key, value in labels_of_stack_namespace.items() if key in _INJECTION_LABELS}
        labels = {**injection, **self._labels}
        return {"metadata": {"name": name, "labels": labels}}

    def service_account(self) -> Any:
        """Return the account of the temporary namespace's Pods."""
        return {"metadata": {"name": ACCOUNT, "labels": self._labels}}

    def pod(self, name: str, account: str = "", *, with_sidecar: bool = False) -> Any:
        """Return an unprivileged Pod that ends after `LIFETIME`; `account` defaults to its namespace's default."""
        container = {
            "name": "curl",
            "image": self.image,
            "imagePullPolicy": "IfNotPresent",
            "command": ["/bin/sleep", str(int(LIFETIME.total_seconds()))],
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            },
            "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}},
        }
        spec = {
            "activeDeadlineSeconds": int(LIFETIME.total_seconds()),
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "restartPolicy": "Never",
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
            **({"serviceAccountName": account} if account else {}),
        }
        labels = {**self._labels, _INJECT: "true" if with_sidecar else "false"}
        return {"metadata": {"name": name, "labels": labels}, "spec": spec}

    def expiry(self, name: str) -> Any:
        """Return a Job without Pods that the cluster deletes after `ROUTE_LIFETIME`, with all objects that it owns.

        Without Pods, a Job reaches its deadline, and is deleted then:
        https://kubernetes.io/docs/concepts/workloads/controllers/job/#ttl-mechanism-for-finished-jobs.
        """
        template = self.pod(name)
        spec = {
            "activeDeadlineSeconds": int(ROUTE_LIFETIME.total_seconds()),
            "ttlSecondsAfterFinished": 0,
            "parallelism": 0,
            "completions": 1,
            "template": {"metadata": {"labels": template["metadata"]["labels"]}, "spec": template["spec"]},
        }
        return {"metadata": {"name": name, "labels": self._labels}, "spec": spec}

    def istio_object(self, kind: str, name: str, spec: Mapping[str, Any], expiry: Any) -> Any:
        """Return an object of Istio's networking group that a Job owns; `expiry`: the Job, as the API server has it."""
        job = {"apiVersion": "batch/v1", "kind": "Job", "name": expiry.metadata.name, "uid": expiry.metadata.uid}
        metadata = {"name": name, "labels": self._labels, "ownerReferences": [job]}
        return {"apiVersion": f"{GROUP}/v1", "kind": kind, "metadata": metadata, "spec": spec}

    @property
    def selector(self) -> str:
        """The label selector of everything that the stack's attackers created."""
        return f"{LABEL}={self.mark}"

    @property
    def _labels(self) -> dict[str, str]:
        return {LABEL: self.mark, RUN: self.run}
