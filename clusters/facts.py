"""Facts: what the checks read from a cluster, and the components need to know."""

from collections.abc import Mapping
from dataclasses import dataclass

from components.istio_gateway import Destination, IstioGateway


@dataclass(frozen=True)
class KymaGatewayFacts:
    """What the target has for the Kyma gateway.

    domain: from the config, or that of the Gardener shoot; empty if the ingress gateway's address gives it
    own_namespaces: of the namespaces that a take-over needs, those that the stack makes, or has made before
    operator: whether Kyma's operator has a gateway that it releases to the stack, or has released before
    to_be_released: the operator's objects that go in that release, each KIND NAMESPACE/NAME
    leftover_secret: uid of the Secret that the release leaves behind; empty if there is none
    """

    domain: str
    own_namespaces: tuple[str, ...] = ()
    operator: bool = False
    to_be_released: tuple[str, ...] = ()
    leftover_secret: str = ""


@dataclass(frozen=True)
class ClusterFacts:
    """What one cluster has for the stack.

    gateway: the ingress gateway of the target, or the egress gateway of a client
    injection: labels of a namespace that make Istio inject sidecars into its Pods
    allowed_destinations: what Pods must reach beside the egress gateway: DNS and istiod; none without a NetworkPolicy
    access_log_configured: whether the mesh config, or a Telemetry that no stack made, configures the gateway's access
        log
    kyma_gateway: for the Kyma gateway; None if the stack has none
    warnings: problems that block nothing, such as those of hosts that the stack has deployed already, one line each
    """

    gateway: IstioGateway
    injection: Mapping[str, str]
    allowed_destinations: tuple[Destination, ...] = ()
    access_log_configured: bool = False
    kyma_gateway: KymaGatewayFacts | None = None
    warnings: tuple[str, ...] = ()
