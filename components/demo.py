"""The tutorial's workloads: httpbin, which is called, and curl, which calls."""

from collections.abc import Mapping

import pulumi

from components import judges
from components.kubernetes import workload
from components.readiness import Ready

HTTPBIN = "httpbin"
HTTPBIN_PORT = 8000
CURL = "curl"


class DemoServer(pulumi.ComponentResource):
    """Makes httpbin, from an image of go-httpbin that listens on 8080, as Service httpbin on port 8000."""

    def __init__(
        self,
        name: str,
        namespace: pulumi.Input[str],
        injection: Mapping[str, str],
        image: str,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("kyma-mtls:index:DemoServer", name, None, opts)
        children = pulumi.ResourceOptions(parent=self)
        deployment = workload(
            name,
            HTTPBIN,
            namespace,
            {"image": image, "ports": [{"container_port": 8080}]},
            {"name": "http", "port": HTTPBIN_PORT, "target_port": 8080},
            {"networking.kyma-project.io/from-ingressgateway": "allowed", **_revision(injection)},
            children,
        )
        Ready(name, deployment, judges.deployment, children)
        self.register_outputs({})


class DemoCaller(pulumi.ComponentResource):
    """Makes curl, a Pod that sleeps until it is told to call, from an image that has curl and sleep."""

    def __init__(
        self,
        name: str,
        namespace: pulumi.Input[str],
        injection: Mapping[str, str],
        image: str,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("kyma-mtls:index:DemoCaller", name, None, opts)
        children = pulumi.ResourceOptions(parent=self)
        deployment = workload(
            name,
            CURL,
            namespace,
            {"image": image, "command": ["/bin/sleep", "infinity"]},
            {"name": "https", "port": 443},
            {"networking.kyma-project.io/to-egressgateway": "allowed", **_revision(injection)},
            children,
        )
        Ready(name, deployment, judges.deployment, children)
        self.register_outputs({})


def _revision(injection: Mapping[str, str]) -> dict[str, str]:
    """Return the label of a revision, so that another one is new Pods, with sidecars of that."""
    return {label: value for label, value in injection.items() if label == "istio.io/rev"}
