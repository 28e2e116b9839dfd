"""What a cluster offers, as it was found there: components are given this instead of assuming names."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

REVISION = "istio.io/rev"
DEFAULT_REVISION = "default"

_HTTPS = 443


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


class GatewayError(ValueError):
    """A Service is no gateway that hosts can be served, or called, through."""


@dataclass(frozen=True)
class IstioGateway:
    """A gateway of Istio, as its Service and the Pods behind it are.

    selector: of the Service
    port: of the Pods, behind port 443 of the Service; a number or a name
    labels: of the Pods
    accounts: the Pods' service accounts
    revision: revision or tag of the Istio that the gateway belongs to
    addresses: of its load balancer, IP addresses or host names
    ip_families: of the Service: IPv4, IPv6 or both
    passthrough: whether Gateways may pass TLS or TCP undecrypted through it: policies for a host then spare connections
        in which Istio sees no principal
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
    passthrough: bool = False

    @classmethod
    def read(cls, service: Mapping[str, Any], pods: Iterable[Mapping[str, Any]]) -> "IstioGateway":
        """Return the gateway behind a Service; raise GatewayError, which says what it lacks.

        service: as the API server has it
        pods: behind it, each its metadata and spec, or those of a workload's template
        """
        namespace, name = service["metadata"]["namespace"], service["metadata"]["name"]
        if not service["spec"].get("selector"):
            raise GatewayError(f"has no gateway behind Service {namespace}/{name}, which has no selector")
        ports = {port["port"]: port.get("targetPort", port["port"]) for port in service["spec"].get("ports", [])}
        if _HTTPS not in ports:
            listed = ", ".join(map(str, ports)) or "none"
            raise GatewayError(f"has no port {_HTTPS} in Service {namespace}/{name}; it has {listed}")
        labels: dict[str, str] = {}
        accounts = set()
        for pod in pods:
            labels |= pod["metadata"]["labels"]
            accounts.add(pod["spec"].get("serviceAccountName", "default"))
        if not accounts:
            raise GatewayError(f"has no Pods behind Service {namespace}/{name}")
        return cls(
            namespace=namespace,
            service=name,
            selector=service["spec"]["selector"],
            port=ports[_HTTPS],
            labels=labels,
            accounts=tuple(sorted(accounts)),
            revision=labels.get(REVISION, DEFAULT_REVISION),
            addresses=tuple(_addresses(service)),
            ip_families=tuple(service["spec"].get("ipFamilies", [])),
        )

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


def injection(revision: str = "") -> dict[str, str]:
    """Return the label that asks for sidecars: of a revision or tag, or, if that is empty, of the default one."""
    return {REVISION: revision} if revision else {"istio-injection": "enabled"}


def _addresses(service: Mapping[str, Any]) -> Iterator[str]:
    for entry in service.get("status", {}).get("loadBalancer", {}).get("ingress", []):
        if address := entry.get("ip") or entry.get("hostname"):
            yield address


def _documented(side: str) -> IstioGateway:
    """Return a gateway as istioctl and Kyma's Istio module make it."""
    name = f"istio-{side}gateway"
    labels = {"app": name, "istio": f"{side}gateway"}
    return IstioGateway("istio-system", name, labels, 8443, labels, (f"{name}-service-account",))


DOCUMENTED_INGRESS, DOCUMENTED_EGRESS = _documented("ingress"), _documented("egress")
