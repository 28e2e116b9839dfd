"""What a cluster offers to the stack, as it was found there."""

from collections.abc import Mapping
from dataclasses import dataclass

from components.istio_gateway import Destination, IstioGateway


@dataclass(frozen=True)
class KymaGatewayFacts:
    """What the Kyma gateway finds in the target.

    domain: configured, or that of the Gardener shoot; empty if it is to be derived from the ingress gateway's address
    namespaces: of those that a take-over needs, the ones that the stack makes, or made before
    operator: whether Kyma's operator has to give up its gateway to the stack, or did before
    to_be_released: what the operator gives up for that, each KIND NAMESPACE/NAME
    leftover: uid of a Secret that is left behind then
    """

    domain: str
    namespaces: tuple[str, ...] = ()
    operator: bool = False
    to_be_released: tuple[str, ...] = ()
    leftover: str = ""


@dataclass(frozen=True)
class ClusterFacts:
    """What one cluster offers.

    gateway: the ingress gateway of the target, the egress gateway of a client
    injection: labels of a namespace whose Pods get a sidecar
    allowed_destinations: what Pods must reach beside the egress gateway: DNS and istiod; none without a NetworkPolicy
    logs_elsewhere: whether others have said where the gateway's access log goes
    site: where the Kyma gateway goes, if there is to be one
    warnings: lines about what others did to hosts that the stack has deployed
    """

    gateway: IstioGateway
    injection: Mapping[str, str]
    allowed_destinations: tuple[Destination, ...] = ()
    logs_elsewhere: bool = False
    site: KymaGatewayFacts | None = None
    warnings: tuple[str, ...] = ()
