"""What must be true of the clusters before anything is planned for them; they are asked side by side."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from typing import Any

from clusters import access_log, control_plane, dns, gateways
from clusters.cluster import Cluster, connect
from clusters.offer import Destination, GatewayOffer, Offer
from clusters.side_by_side import both, side_by_side
from settings import Client, NetworkPolicy, Platform, Settings, TargetCluster
from settings.hosts import Service

_ISTIO = ("networking.istio.io", "has no Istio; install it (on Kyma: add the Istio module)")
_KYMA_ISTIO = ("operator.kyma-project.io", "has no Kyma Istio module; add it, or set platform to istio")
_API_GATEWAY = ("gateway.kyma-project.io", "has no Kyma API Gateway module; add it, or set platform to istio")
_RAW_PROTOCOLS = {"TCP", "TLS", "MONGO", "REDIS", "MYSQL"}
_RAW_MODES = {"PASSTHROUGH", "AUTO_PASSTHROUGH"}
_MUTUAL_MODES = {"MUTUAL", "ISTIO_MUTUAL", "OPTIONAL_MUTUAL"}
_FORWARDED = {"FORWARD_ONLY", "ALWAYS_FORWARD_ONLY"}


@dataclass(frozen=True)
class Clusters:
    """Connections to the stack's clusters: the target, if there is one, and the clients by name.

    offers: what each of them has for the stack, by the path of the config that names it
    """

    target: Cluster | None = None
    clients: Mapping[str, Cluster] = field(default_factory=dict)
    offers: Mapping[str, Offer] = field(default_factory=dict)

    @property
    def all(self) -> dict[str, Cluster]:
        """By the path of the config that names each."""
        return {cluster.access.path: cluster for cluster in (*filter(None, [self.target]), *self.clients.values())}


def check(settings: Settings) -> Clusters:
    """Connect to every cluster; raise ConfigError, with all problems of each, unless they have what the stack needs."""
    access = [settings.client_access(name) for name in settings.own_clients]
    if settings.target_access:
        access.insert(0, settings.target_access)
    connected = {cluster.access.path: cluster for cluster in side_by_side(partial(connect, each) for each in access)}
    _check_apart(connected.values())
    found = Clusters(connected.get("target"), {name: connected[f"clients.{name}"] for name in settings.own_clients})
    asked: dict[str, Callable[[], Offer]] = {}
    services: list[Callable[[], None]] = []
    if found.target and settings.target:
        asked["target"] = partial(_check_target, settings, settings.target, found.target)
        services = [
            partial(_check_service, found.target, name, host.service)
            for name, host in settings.served.items()
            if host.service
        ]
    for name, cluster in found.clients.items():
        asked[f"clients.{name}"] = partial(_check_client, settings, settings.clients[name], cluster)
    answers = side_by_side([*asked.values(), *services])
    offers = {path: offer for path, offer in zip(asked, answers, strict=False) if offer}
    return replace(found, offers=offers)


def _check_apart(clusters: Iterable[Cluster]) -> None:
    seen: dict[str, Cluster] = {}
    for cluster in clusters:
        if other := seen.get(cluster.uid):
            raise cluster.problem(f"is that of {other.access.path}, too; each needs a cluster of its own")
        seen[cluster.uid] = cluster


def _check_target(settings: Settings, wanted: TargetCluster, cluster: Cluster) -> Offer:
    cluster.check_apis(_ISTIO, *([_API_GATEWAY] if settings.platform == Platform.KYMA else []))
    injectors = control_plane.injectors(cluster)

    def gateway() -> GatewayOffer:
        found = gateways.find(cluster, wanted.ingress_gateway, "target.ingressGateway")
        _check_servers(cluster, found, wanted.gateway_passthrough)
        _check_forwarding(settings, cluster, control_plane.mesh(cluster, injectors, found.revision))
        return found

    def injector() -> control_plane.Injector:
        return control_plane.injector_of(cluster, injectors, settings.namespace, wanted.revision, "target.revision")

    found, _ = both(gateway, injector)
    return Offer(found, control_plane.injection(wanted.revision))


def _check_client(settings: Settings, client: Client, cluster: Cluster) -> Offer:
    is_kyma, path = settings.platform == Platform.KYMA, cluster.access.path
    is_closed = client.network_policy != NetworkPolicy.NONE
    cluster.check_apis(_ISTIO, *([_KYMA_ISTIO] if is_kyma else []))
    injectors = control_plane.injectors(cluster)

    def gateway() -> GatewayOffer:
        to_come = gateways.DOCUMENTED_EGRESS if is_kyma else None
        found = gateways.find(cluster, client.egress_gateway, f"{path}.egressGateway", to_come=to_come)
        _check_servers(cluster, found, client.gateway_passthrough)
        return found

    def istiods() -> tuple[Destination, ...]:
        own = control_plane.injector_of(cluster, injectors, settings.namespace, client.revision, f"{path}.revision")
        return control_plane.istiods(cluster, own, injectors, f"{path}.networkPolicy") if is_closed else ()

    def resolvers() -> tuple[Destination, ...]:
        return dns.find(cluster, client.dns, f"{path}.dns") if is_closed else ()

    found, ways_out = both(gateway, lambda: side_by_side([resolvers, istiods]))
    logs_elsewhere = access_log.is_chosen(cluster, found, control_plane.mesh(cluster, injectors, found.revision))
    return Offer(found, control_plane.injection(client.revision), tuple(chain(*ways_out)), logs_elsewhere)


def _check_servers(cluster: Cluster, gateway: GatewayOffer, passthrough: bool) -> None:
    raw = dict(_raw_servers(cluster, gateway.labels))
    policy = f"without looking at a host, through {gateway.service}; a policy of this stack would end that"
    if impossible := sorted(name for name, with_certificate in raw.items() if with_certificate):
        raise cluster.problem(
            f"serves TCP with client certificates by Gateway {', '.join(impossible)}, {policy}; move them elsewhere"
        )
    if raw and not passthrough:
        raise cluster.problem(
            f"passes TLS or TCP by Gateway {', '.join(sorted(raw))}, {policy}; set this to true, or move them to "
            "another one",
            f"{cluster.access.path}.gatewayPassthrough",
        )


def _raw_servers(cluster: Cluster, labels: Mapping[str, str]) -> Iterator[tuple[str, bool]]:
    """Yield each Gateway that serves something else than HTTP on the Pods with these labels.

    The second value says whether it asks for client certificates: Istio then sees a principal.
    """
    for gateway in cluster.items("/apis/networking.istio.io/v1/gateways"):
        spec, metadata = gateway["spec"], gateway["metadata"]
        servers = spec.get("servers", []) if spec.get("selector", {}).items() <= labels.items() else []
        raw = [server for server in servers if server["port"]["protocol"].upper() in _RAW_PROTOCOLS]
        raw += [server for server in servers if _mode(server) in _RAW_MODES]
        if raw:
            yield f"{metadata['namespace']}/{metadata['name']}", any(_mode(server) in _MUTUAL_MODES for server in raw)


def _mode(server: Mapping[str, Any]) -> str:
    return str(server.get("tls", {}).get("mode", ""))


def _check_forwarding(settings: Settings, cluster: Cluster, mesh: control_plane.Mesh) -> None:
    """Refuse dns: identities where the ingress gateway lets callers write the header that names them."""
    named = [name for name, client in settings.clients.items() if client.identity.startswith("dns:")]
    admitted = [name for name in named if settings.hosts_of(name)]
    if not admitted:
        return
    mode = mesh.get("defaultConfig", "gatewayTopology", "forwardClientCertDetails")
    if mode in _FORWARDED:
        raise cluster.problem(
            f"forwards the caller's own X-Forwarded-Client-Cert ({mode}), so that anybody could claim a DNS name; use "
            "a spiffe:// identity, or set forwardClientCertDetails to SANITIZE_SET",
            f"clients.{admitted[0]}.identity",
        )


def _check_service(cluster: Cluster, host: str, service: Service) -> None:
    found = cluster.read(f"/api/v1/namespaces/{service.namespace}/services/{service.name}")
    if not found:
        raise cluster.problem(f"has no Service {service.namespace}/{service.name}", f"hosts.{host}.service")
    ports = [port["port"] for port in found["spec"].get("ports", [])]
    if service.port not in ports:
        listed = ", ".join(map(str, ports)) or "none"
        message = f"has no such port in Service {service.namespace}/{service.name}; it has {listed}"
        raise cluster.problem(message, f"hosts.{host}.service.port")
