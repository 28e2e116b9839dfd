"""The cluster that serves hosts, behind an ingress gateway that demands a client certificate.

Follows "Prepare a cluster with an egress Gateway" of the mTLS tutorial
(https://developers.sap.com/tutorials/cp-kyma-mtls-requests-egress).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi

from .demo import DemoArgs, DemoServer
from .istio_gateway import injection
from .objects import injected_namespace


@dataclass(frozen=True)
class MtlsTargetArgs:
    """The namespace of the hosts, and the demo workload.

    namespace: of the stack's objects; the component makes it
    injection: labels of the namespace, by which its Pods get a sidecar; istio-injection: enabled by default
    demo_image: a go-httpbin that listens on 8080; empty (default) if no host needs the demo httpbin
    """

    namespace: pulumi.Input[str]
    injection: Mapping[str, str] = field(default_factory=injection)
    demo_image: str = ""


class MtlsTarget(pulumi.ComponentResource):
    """Makes the stack's namespace, and the demo httpbin if it has an image. Each host is an MtlsHost.

    namespace: of the stack's objects
    """

    namespace: pulumi.Output[str]

    def __init__(self, name: str, args: MtlsTargetArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("kyma-mtls:index:MtlsTarget", name, None, opts)
        children = pulumi.ResourceOptions(parent=self)
        namespace = injected_namespace(f"{name}-namespace", args.namespace, args.injection, children)
        self.namespace = namespace.metadata.name
        if args.demo_image:
            DemoServer(f"{name}-httpbin", DemoArgs(self.namespace, args.injection, args.demo_image), children)
        self.register_outputs({"namespace": self.namespace})
