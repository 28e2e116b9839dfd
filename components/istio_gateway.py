"""Gateways of Istio, as installed in a cluster. None of this needs Pulumi."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .namespaced_name import NamespacedName

REVISION = "istio.io/rev"
DEFAULT_REVISION = "default"

_HTTPS = 443


@dataclass(frozen=True)
class Pods:
    """The Pods of a namespace with these labels; without labels, all of them."""

    namespace: str
    labels: Mapping[str, str]


@dataclass(frozen=True)
class Destination:
    """A destination that a NetworkPolicy allows.

    ports: each with TCP or UDP: a number, or the name of a port of the destination's Pods; empty for all
    addresses: CIDRs; none by default
    pods: None (default) for addresses alone
    """

    ports: tuple[tuple[int | str, str], ...]
    addresses: tuple[str, ...] = ()
    pods: Pods | None = None


class GatewayError(ValueError):
    """No gateway is behind a Service, or one that hosts cannot use; the message says what it lacks."""


@dataclass(frozen=True)
class IstioGateway:
    """A gateway of Istio: its Service, and the Pods behind that.

    namespace: of the Service and the Pods
    service: name of the Service
    selector: of the Service
    port: of the Pods, behind port 443 of the Service
    labels: of the Pods
    accounts: service accounts of the Pods
    server_ports: by which servers of Gateways share the listener of the stack's hosts; 443 by default
    revision: revision or tag of the Istio that runs the gateway; "default" by default
    addresses: of the Service's load balancer, IP addresses or host names; none by default
    ip_families: of the Service: IPv4, IPv6 or both; none by default
    passthrough: whether Gateways may pass TLS or TCP undecrypted through it, so that policies for its hosts spare
        connections without a principal; not by default
    replicas: number of the Pods; None (default) if it is not known
    """

    namespace: str
    service: str
    selector: Mapping[str, str]
    port: int
    labels: Mapping[str, str]
    accounts: tuple[str, ...]
    server_ports: tuple[int, ...] = (_HTTPS,)
    revision: str = "default"
    addresses: tuple[str, ...] = ()
    ip_families: tuple[str, ...] = ()
    passthrough: bool = False
    replicas: int | None = None

    @classmethod
    def read(cls, service: Mapping[str, Any], pods: Iterable[Mapping[str, Any]]) -> "IstioGateway":
        """Return the gateway behind a Service; raise GatewayError if it cannot be used.

        service: as the API server returns it
        pods: behind the Service, each with metadata and spec: Pods, or the templates of their workloads
        """
        named = NamespacedName(service["metadata"]["namespace"], service["metadata"]["name"])
        if not service["spec"].get("selector"):
            raise GatewayError(f"has no gateway behind Service {named}, which has no selector")
        ports = {port["port"]: port.get("targetPort", port["port"]) for port in service["spec"].get("ports", [])}
        if _HTTPS not in ports:
            listed = ", ".join(map(str, ports)) or "none"
            raise GatewayError(f"has no port {_HTTPS} in Service {named}; it has {listed}")
        labels: dict[str, str] = {}
        accounts: set[str] = set()
        names: dict[str, int] = {}
        for pod in pods:
            labels |= pod["metadata"]["labels"]
            accounts.add(pod["spec"].get("serviceAccountName", "default"))
            names |= _named_ports(pod["spec"])
        if not accounts:
            raise GatewayError(f"has no Pods behind Service {named}")
        numbers = {port: names.get(target) if isinstance(target, str) else target for port, target in ports.items()}
        target = numbers[_HTTPS]
        if target is None:
            raise GatewayError(f"has no port {ports[_HTTPS]} in the Pods behind port {_HTTPS} of Service {named}")
        return cls(
            namespace=named.namespace,
            service=named.name,
            selector=service["spec"]["selector"],
            port=target,
            labels=labels,
            accounts=tuple(sorted(accounts)),
            server_ports=tuple(_server_ports(numbers, target)),
            revision=labels.get(REVISION, DEFAULT_REVISION),
            addresses=tuple(_addresses(service)),
            ip_families=tuple(service["spec"].get("ipFamilies", [])),
        )

    @property
    def name(self) -> str:
        """The Service as config keys name it: NAMESPACE/NAME."""
        return str(NamespacedName(self.namespace, self.service))

    @property
    def address(self) -> str:
        """The first address; empty while there is none."""
        return next(iter(self.addresses), "")

    @property
    def destination(self) -> Destination:
        """The Pods, at the port that serves 443."""
        return Destination(((self.port, "TCP"),), pods=Pods(self.namespace, self.selector))


def entry_host(namespace: str, host: str) -> str:
    """Return the host name in the mesh by which the callers' sidecars reach the egress gateway, for one host.

    namespace: the stack's own
    host: the host's name in the config
    """
    return f"{host}.{namespace}.kyma-mtls.internal"


def injection(revision: str = "") -> dict[str, str]:
    """Return the label that has sidecars injected: by a revision or tag, or, if that is empty, by the default one."""
    return {REVISION: revision} if revision else {"istio-injection": "enabled"}


def _named_ports(spec: Mapping[str, Any]) -> dict[str, int]:
    """Return the numbers of the ports that a Pod's containers name."""
    ports = [port for container in spec.get("containers", ()) for port in container.get("ports", ())]
    return {port["name"]: port["containerPort"] for port in ports if port.get("name")}


def _server_ports(targets: Mapping[int, int | None], target: int) -> list[int]:
    """Return the port numbers of Gateway servers that listen on a port of the gateway's Pods.

    Istio takes the number for a port of the gateway's Services, or else for one of the Pods:
    https://github.com/istio/istio/blob/master/pilot/pkg/model/gateway.go (resolvePorts)
    """
    return sorted({port for port, behind in {target: target, **targets}.items() if behind == target})


def _addresses(service: Mapping[str, Any]) -> Iterator[str]:
    for entry in service.get("status", {}).get("loadBalancer", {}).get("ingress", []):
        if address := entry.get("ip") or entry.get("hostname"):
            yield address


def _documented(side: str) -> IstioGateway:
    """Return a gateway as istioctl and Kyma's Istio module install it."""
    name = f"istio-{side}gateway"
    labels = {"app": name, "istio": f"{side}gateway"}
    accounts = (f"{name}-service-account",)
    return IstioGateway("istio-system", name, labels, 8443, labels, accounts, server_ports=(_HTTPS, 8443))


DOCUMENTED_INGRESS, DOCUMENTED_EGRESS = _documented("ingress"), _documented("egress")
