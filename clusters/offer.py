"""What a cluster offers to the stack, as it was found there: components are given this instead of assuming names."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Pods:
    """The Pods of a namespace with these labels."""

    namespace: str
    labels: Mapping[str, str]


@dataclass(frozen=True)
class Destination:
    """Where Pods have to get.

    ports: each a number, or a name that the destination's Pods give it, with TCP or UDP
    addresses: CIDRs
    """

    ports: tuple[tuple[int | str, str], ...]
    addresses: tuple[str, ...] = ()
    pods: Pods | None = None


@dataclass(frozen=True)
class GatewayOffer:
    """A gateway of Istio, as its Service and the Pods behind it are.

    selector: of the Service
    port: of the Pods, behind port 443 of the Service; a number or a name
    labels: of the Pods
    accounts: the Pods' service accounts
    revision: revision or tag of the Istio that the gateway belongs to
    addresses: of its load balancer, IP addresses or host names
    ip_families: of the Service: IPv4, IPv6 or both
    """

    namespace: str
    service: str
    selector: Mapping[str, str]
    port: int | str
    labels: Mapping[str, str]
    accounts: tuple[str, ...]
    revision: str = "default"
    addresses: tuple[str, ...] = ()
    ip_families: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The Service, as the config names it."""
        return f"{self.namespace}/{self.service}"

    @property
    def host(self) -> str:
        """The Service, as the mesh calls it."""
        return f"{self.service}.{self.namespace}.svc.cluster.local"

    @property
    def address(self) -> str:
        """The first of its addresses; empty while it has none."""
        return next(iter(self.addresses), "")

    @property
    def destination(self) -> Destination:
        """Its Pods, where they serve port 443."""
        return Destination(((self.port, "TCP"),), pods=Pods(self.namespace, self.selector))


@dataclass(frozen=True)
class GatewaySite:
    """What the Kyma gateway finds in the target.

    domain: configured, or that of the Gardener shoot; empty if it is to be derived from the ingress gateway's address
    namespaces: of those that a take-over needs, the ones that the stack makes, or made before
    operator: whether Kyma's operator has to give up its gateway to the stack, or did before
    occupied: what the operator gives up for that, each KIND NAMESPACE/NAME
    leftover: uid of a Secret that is left behind then
    """

    domain: str
    namespaces: tuple[str, ...] = ()
    operator: bool = False
    occupied: tuple[str, ...] = ()
    leftover: str = ""


@dataclass(frozen=True)
class Offer:
    """What one cluster offers.

    gateway: the ingress gateway of the target, the egress gateway of a client
    injection: labels of a namespace whose Pods get a sidecar
    ways_out: what Pods have to reach beside the egress gateway: DNS and istiod; none where no policy asks for them
    logs_elsewhere: whether others have said where the gateway's access log goes
    site: where the Kyma gateway goes, if there is to be one
    warnings: lines about what others did to hosts that the stack has deployed
    """

    gateway: GatewayOffer
    injection: Mapping[str, str]
    ways_out: tuple[Destination, ...] = ()
    logs_elsewhere: bool = False
    site: GatewaySite | None = None
    warnings: tuple[str, ...] = ()
