"""The cluster that serves: hosts behind an ingress gateway that demands a client certificate.

Follows "Prepare a cluster with an egress Gateway" of the mTLS tutorial.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi

from .demo import DemoArgs, DemoServer
from .istio_gateway import injection
from .objects import injected_namespace


@dataclass(frozen=True)
class MtlsTargetArgs:
    """What the hosts have in common.

    namespace: made for what belongs to the stack
    injection: labels by which its Pods get a sidecar
    demo_image: a go-httpbin that listens on 8080; empty if no host needs it
    """

    namespace: pulumi.Input[str]
    injection: Mapping[str, str] = field(default_factory=injection)
    demo_image: str = ""


class MtlsTarget(pulumi.ComponentResource):
    """Makes the stack's namespace, and the demo httpbin if a host needs it; each host is a child of its own.

    Gives `namespace`.
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
