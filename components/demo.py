"""The tutorial's workloads: httpbin, which is called, and curl, which calls."""

from collections.abc import Mapping
from typing import ClassVar

import pulumi
import pulumi_kubernetes as k8s

from . import judges
from .kubernetes import workload
from .readiness import Ready

HTTPBIN = "httpbin"
HTTPBIN_PORT = 8000
CURL = "curl"


class _Demo(pulumi.ComponentResource):
    """Makes a Deployment and its Service in a namespace, and waits until its Pods are ready."""

    service: str
    container: ClassVar[k8s.core.v1.ContainerArgsDict]
    port: ClassVar[k8s.core.v1.ServicePortArgsDict]
    label: str

    def __init__(
        self,
        name: str,
        namespace: pulumi.Input[str],
        injection: Mapping[str, str],
        image: str,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__(f"kyma-mtls:index:{type(self).__name__}", name, None, opts)
        children = pulumi.ResourceOptions(parent=self)
        container: k8s.core.v1.ContainerArgsDict = {"image": image, **self.container}
        labels = {self.label: "allowed", **_revision(injection)}
        deployment = workload(name, self.service, namespace, container, self.port, labels, children)
        Ready(name, deployment, judges.deployment, children)
        self.register_outputs({})


class DemoServer(_Demo):
    """Makes httpbin, from an image of go-httpbin that listens on 8080, as Service httpbin on port 8000."""

    service = HTTPBIN
    container: ClassVar[k8s.core.v1.ContainerArgsDict] = {"ports": [{"container_port": 8080}]}
    port: ClassVar[k8s.core.v1.ServicePortArgsDict] = {"name": "http", "port": HTTPBIN_PORT, "target_port": 8080}
    label = "networking.kyma-project.io/from-ingressgateway"


class DemoCaller(_Demo):
    """Makes curl, a Pod that sleeps until it is told to call, from an image that has curl and sleep."""

    service = CURL
    container: ClassVar[k8s.core.v1.ContainerArgsDict] = {"command": ["/bin/sleep", "infinity"]}
    port: ClassVar[k8s.core.v1.ServicePortArgsDict] = {"name": "https", "port": 443}
    label = "networking.kyma-project.io/to-egressgateway"


def _revision(injection: Mapping[str, str]) -> dict[str, str]:
    """Return the label of a revision, so that another one is new Pods, with sidecars of that."""
    return {label: value for label, value in injection.items() if label == "istio.io/rev"}
