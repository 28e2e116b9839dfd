"""The workloads of the mTLS tutorial: httpbin, which serves, and curl, which calls."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import pulumi
import pulumi_kubernetes as k8s

from . import judges
from .readiness import Ready

HTTPBIN = "httpbin"
HTTPBIN_PORT = 8000
CURL = "curl"

# The program waits for the Deployment's Pods; the provider would wait ten seconds more for the Service's endpoints.
_NO_WAIT = {"pulumi.com/skipAwait": "true"}
# The program waits (Ready), and says why it waits; with skipAwait the provider would not wait for a deletion either.
_IS_THERE = {"pulumi.com/waitFor": "jsonpath={.metadata.uid}"}


@dataclass(frozen=True)
class DemoArgs:
    """Where the workload runs, and from which image.

    namespace: is there already
    injection: labels of the namespace by which its Pods get a sidecar
    image: of the only container
    """

    namespace: pulumi.Input[str]
    injection: Mapping[str, str]
    image: str


class _Demo(pulumi.ComponentResource):
    """Makes a ServiceAccount, a Service and a Deployment of one unprivileged container, all of one name.

    It waits until the Deployment's Pod is ready.
    """

    workload: str
    container: ClassVar[k8s.core.v1.ContainerArgsDict]
    port: ClassVar[k8s.core.v1.ServicePortArgsDict]
    label: str

    def __init__(self, name: str, args: DemoArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(f"kyma-mtls:index:{type(self).__name__}", name, None, opts)
        children = pulumi.ResourceOptions(parent=self)
        app = {"app": self.workload}
        named: k8s.meta.v1.ObjectMetaArgsDict = {"name": self.workload, "namespace": args.namespace}
        labelled: k8s.meta.v1.ObjectMetaArgsDict = {**named, "labels": {**app, "service": self.workload}}
        account = k8s.core.v1.ServiceAccount(name, metadata=named, opts=children)
        k8s.core.v1.Service(
            name,
            metadata={**labelled, "annotations": _NO_WAIT},
            spec={"ports": [self.port], "selector": app},
            opts=children,
        )
        pod_labels = {**app, self.label: "allowed", **_revision(args.injection)}
        deployment = k8s.apps.v1.Deployment(
            name,
            metadata={**labelled, "annotations": _IS_THERE},
            spec={
                "replicas": 1,
                "selector": {"match_labels": app},
                "template": {
                    "metadata": {"labels": pod_labels},
                    "spec": self._pod(account.metadata.name, args.image),
                },
            },
            opts=children,
        )
        Ready(name, deployment, judges.deployment, children)
        self.register_outputs({})

    def _pod(self, account: pulumi.Input[str], image: str) -> k8s.core.v1.PodSpecArgsDict:
        container: k8s.core.v1.ContainerArgsDict = {
            "name": self.workload,
            "image": image,
            "image_pull_policy": "IfNotPresent",
            "security_context": {
                "allow_privilege_escalation": False,
                "read_only_root_filesystem": True,
                "capabilities": {"drop": ["ALL"]},
            },
            "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}},
            **self.container,
        }
        return {
            "service_account_name": account,
            "automount_service_account_token": False,
            "termination_grace_period_seconds": 0,
            "security_context": {
                "run_as_non_root": True,
                "run_as_user": 65532,
                "seccomp_profile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
        }


class DemoServer(_Demo):
    """Makes httpbin, from an image of go-httpbin that listens on 8080, as Service httpbin on port 8000."""

    workload = HTTPBIN
    container: ClassVar[k8s.core.v1.ContainerArgsDict] = {"ports": [{"container_port": 8080}]}
    port: ClassVar[k8s.core.v1.ServicePortArgsDict] = {"name": "http", "port": HTTPBIN_PORT, "target_port": 8080}
    label = "networking.kyma-project.io/from-ingressgateway"


class DemoCaller(_Demo):
    """Makes curl, from an image that has curl and sleep: a Pod that sleeps, in which commands call the hosts."""

    workload = CURL
    container: ClassVar[k8s.core.v1.ContainerArgsDict] = {"command": ["/bin/sleep", "infinity"]}
    port: ClassVar[k8s.core.v1.ServicePortArgsDict] = {"name": "https", "port": 443}
    label = "networking.kyma-project.io/to-egressgateway"


def _revision(injection: Mapping[str, str]) -> dict[str, str]:
    """Return the label of a revision: a change of the revision then replaces the Pods, with its sidecars."""
    return {label: value for label, value in injection.items() if label == "istio.io/rev"}
