"""Manifests of what an attacker creates in a cluster: a namespace, an account, Pods, and objects of Istio's networking.

Namespaces and Pods have a label with the stack's mark and an annotation with their run: a later run removes only what a
killed run left, see sweeping.py.
"""

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

LABEL = "kyma-mtls/verification"
RUN = "kyma-mtls/verification-run"
"""The annotation with HOST/PID of the process that created an object."""
LIFETIME = timedelta(hours=1)
"""Of a Pod, which then ends by itself."""
GROUP = "networking.istio.io"
ACCOUNT = "attacker"

_INJECTION_LABELS = ("istio-injection", "istio.io/rev")
_INJECT = "sidecar.istio.io/inject"


@dataclass(frozen=True)
class Manifests:
    """Makes manifests for one cluster.

    mark: the stack's, the value of the label
    image: of the Pods' container; it has curl and sleep
    """

    mark: str
    image: str

    def namespace(self, name: str, labels_of_stack_namespace: Mapping[str, str]) -> Any:
        """Return a namespace whose Pods get sidecars as those of the stack's namespace do."""
        injection = {key: value for key, value in labels_of_stack_namespace.items() if key in _INJECTION_LABELS}
        labels = {**injection, **self._labels}
        return {"metadata": {"name": name, "labels": labels, "annotations": self._annotations}}

    def service_account(self) -> Any:
        """Return the account of the temporary namespace's Pods."""
        return {"metadata": {"name": ACCOUNT, "labels": self._labels}}

    def pod(self, name: str, account: str = "", *, with_sidecar: bool = False) -> Any:
        """Return an unprivileged Pod that sleeps for `LIFETIME`; `account` defaults to its namespace's default."""
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
        return {"metadata": {"name": name, "labels": labels, "annotations": self._annotations}, "spec": spec}

    def istio_object(self, kind: str, name: str, spec: Mapping[str, Any]) -> Any:
        """Return an object of Istio's networking group."""
        metadata = {"name": name, "labels": self._labels}
        return {"apiVersion": f"{GROUP}/v1", "kind": kind, "metadata": metadata, "spec": spec}

    @property
    def selector(self) -> str:
        """The label selector of everything that the stack's attackers created."""
        return f"{LABEL}={self.mark}"

    @property
    def _labels(self) -> dict[str, str]:
        return {LABEL: self.mark}

    @property
    def _annotations(self) -> dict[str, str]:
        return {RUN: f"{socket.gethostname()}/{os.getpid()}"}
