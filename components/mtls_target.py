"""The cluster that serves hosts, behind an ingress gateway that demands a client certificate.

Follows "Prepare a cluster with an egress Gateway" of the mTLS tutorial
(https://developers.sap.com/tutorials/cp-kyma-mtls-requests-egress).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi

from .arguments import check_choice
from .choices import Platform
from .demo import HTTPBIN, DemoArgs, DemoServer
from .istio_gateway import DOCUMENTED_INGRESS, IstioGateway, injection
from .objects import injected_namespace, istio


@dataclass(frozen=True)
class MtlsTargetArgs:
    """The namespace of the hosts, and the demo workload; RunError for a wrong argument.

    namespace: of the stack's objects; the component makes it
    injection: labels of the namespace, by which its Pods get a sidecar; istio-injection: enabled by default
    demo_image: a go-httpbin that listens on 8080; empty (default) if no host needs the demo httpbin
    platform: kyma (default; APIRules make the policies of the demo httpbin) or istio (the component makes its policy)
    gateway: the ingress gateway, which alone may call the demo httpbin; by default, as istioctl and Kyma install it
    """

    namespace: pulumi.Input[str]
    injection: Mapping[str, str] = field(default_factory=injection)
    demo_image: str = ""
    platform: str = Platform.KYMA
    gateway: IstioGateway = DOCUMENTED_INGRESS

    def __post_init__(self) -> None:
        check_choice("platform", self.platform, Platform)


class MtlsTarget(pulumi.ComponentResource):
    """Makes the stack's namespace, and the demo httpbin if it has an image: with its AuthorizationPolicy, on platform
    kyma with a DestinationRule. Each host is an MtlsHost.

    namespace: of the stack's objects
    """

    namespace: pulumi.Output[str]

    def __init__(self, name: str, args: MtlsTargetArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("kyma-mtls:index:MtlsTarget", name, None, opts)
        self._name, self._args = name, args
        children = pulumi.ResourceOptions(parent=self)
        namespace = injected_namespace(f"{name}-namespace", args.namespace, args.injection, children)
        self.namespace = namespace.metadata.name
        if args.demo_image:
            if args.platform == Platform.KYMA:
                self._demo_connections(children)
            else:
                self._demo_policy(children)
            DemoServer(f"{name}-httpbin", DemoArgs(self.namespace, args.injection, args.demo_image), children)
        self.register_outputs({"namespace": self.namespace})

    def _demo_policy(self, opts: pulumi.ResourceOptions) -> None:
        """Admit the ingress gateway to the demo httpbin, and nobody else.

        It names no hosts, so that it stays as it is when a host comes: Envoy judges each connection by the policies of
        the time when it was opened, and the ingress gateway keeps connections to the demo httpbin. By policies for each
        host, the next request by an older connection would get 403 (https://github.com/envoyproxy/envoy/issues/34787).
        """
        gateway = self._args.gateway
        # In any trust domain.
        source = {"principals": [f"*/ns/{gateway.namespace}/sa/{account}" for account in gateway.accounts]}
        spec = {
            "selector": {"matchLabels": {"app": HTTPBIN}},
            "action": "ALLOW",
            "rules": [{"from": [{"source": source}]}],
        }
        metadata = {"name": "from-ingress-gateway", "namespace": self.namespace}
        istio(f"{self._name}-authorization", "AuthorizationPolicy", metadata, spec, opts)

    def _demo_connections(self, opts: pulumi.ResourceOptions) -> None:
        """End the ingress gateway's idle connections to the demo httpbin.

        Each APIRule changes the policies of httpbin's sidecar, and Envoy judges an open connection by the old ones.
        """
        spec = {
            "host": pulumi.Output.concat(HTTPBIN, ".", self.namespace, ".svc.cluster.local"),
            "trafficPolicy": {"connectionPool": {"http": {"idleTimeout": "1s"}}},
        }
        metadata = {"name": HTTPBIN, "namespace": self.namespace}
        istio(f"{self._name}-httpbin", "DestinationRule", metadata, spec, opts)
