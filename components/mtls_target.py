"""The cluster that serves: hosts behind an ingress gateway that demands a client certificate.

Follows "Prepare a cluster with an egress Gateway" of the mTLS tutorial.
"""

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.demo import DemoServer
from components.kubernetes import ISTIO_SYSTEM, injected_namespace, load_balancer_address


@dataclass(frozen=True)
class MtlsTargetArgs:
    """What the hosts have in common.

    namespace: made for what belongs to the stack
    demo_image: a go-httpbin that listens on 8080; empty if no host needs it
    """

    namespace: pulumi.Input[str]
    demo_image: str


class MtlsTarget(pulumi.ComponentResource):
    """Makes the stack's namespace, and the demo httpbin if a host needs it; each host is a child of its own.

    Gives `namespace`, and `address` of the ingress gateway: an IP address or host name, empty while its load balancer
    has none.
    """

    namespace: pulumi.Output[str]
    address: pulumi.Output[str]

    def __init__(self, name: str, args: MtlsTargetArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("kyma-mtls:index:MtlsTarget", name, None, opts)
        children = pulumi.ResourceOptions(parent=self)
        self.namespace = injected_namespace(f"{name}-namespace", args.namespace, children).metadata.name
        if args.demo_image:
            DemoServer(f"{name}-httpbin", self.namespace, args.demo_image, children)
        ingress = k8s.core.v1.Service.get(f"{name}-ingress", f"{ISTIO_SYSTEM}/istio-ingressgateway", children)
        self.address = ingress.status.apply(load_balancer_address)
        self.register_outputs({"namespace": self.namespace, "address": self.address})
