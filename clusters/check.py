"""What must be true of the clusters before anything is planned for them; they are asked side by side."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from typing import Any

from clusters import access_log, claims, control_plane, dns, gateways, kyma_gateway_facts, services
from clusters.cluster import Cluster, connect
from clusters.facts import ClusterFacts, KymaGatewayFacts
from clusters.side_by_side import both, side_by_side
from components.istio_gateway import DOCUMENTED_EGRESS, Destination, IstioGateway, injection
from settings import NetworkPolicy, Platform, Settings, TargetCluster

_ISTIO = ("networking.istio.io", "has no Istio; install it (on Kyma: add the Istio module)")
_KYMA_ISTIO = "has no Kyma Istio module (no Istio kyma-system/default); add it, or set platform to istio"
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
    offers: Mapping[str, ClusterFacts] = field(default_factory=dict)

    @property
    def all(self) -> dict[str, Cluster]:
        """By the path of the config that names each."""
        return {cluster.access.path: cluster for cluster in (*filter(None, [self.target]), *self.clients.values())}

    @property
    def warnings(self) -> tuple[str, ...]:
        """Lines about what others did to hosts that the stack has deployed."""
        return tuple(line for offer in self.offers.values() for line in offer.warnings)


def check(settings: Settings, owner: str | None = None) -> Clusters:
    """Connect to every cluster; raise ConfigError, with all problems of each, unless they have what the stack needs.

    owner: the stack's mark, by which it knows what it deployed before; None if it has deployed nothing yet
    """
    access = [settings.client_access(name) for name in settings.own_clients]
    if settings.target_access:
        access.insert(0, settings.target_access)
    connected = {cluster.access.path: cluster for cluster in side_by_side(partial(connect, each) for each in access)}
    _check_apart(connected.values())
    found = Clusters(connected.get("target"), {name: connected[f"clients.{name}"] for name in settings.own_clients})
    asked: dict[str, Callable[[], ClusterFacts]] = {}
    if found.target and settings.target:
        asked["target"] = partial(_check_target, settings, settings.target, found.target, owner)
    for name, cluster in found.clients.items():
        asked[f"clients.{name}"] = partial(_check_client, settings, name, cluster, owner)
    return replace(found, offers=dict(zip(asked, side_by_side(asked.values()), strict=True)))


def _check_apart(clusters: Iterable[Cluster]) -> None:
    seen: dict[str, Cluster] = {}
    for cluster in clusters:
        if other := seen.get(cluster.uid):
            raise cluster.problem(f"is that of {other.access.path}, too; each needs a cluster of its own")
        seen[cluster.uid] = cluster


def _check_target(settings: Settings, wanted: TargetCluster, cluster: Cluster, owner: str | None) -> ClusterFacts:
    is_kyma = settings.platform == Platform.KYMA
    cluster.check_apis(_ISTIO, *([_API_GATEWAY] if is_kyma else []))
    injectors = control_plane.injectors(cluster)
    domains = {name: host.domain for name, host in settings.served.items()}

    def gateway() -> tuple[IstioGateway, KymaGatewayFacts | None, tuple[str, ...]]:
        found = gateways.find(cluster, wanted.ingress_gateway, "target.ingressGateway")

        def policies() -> None:
            _check_servers(cluster, found, wanted.gateway_passthrough)
            _check_forwarding(settings, cluster, partial(control_plane.mesh, cluster, injectors, found.revision))

        def names() -> tuple[KymaGatewayFacts | None, tuple[str, ...]]:
            return both(
                lambda: kyma_gateway_facts.find(settings, cluster, found.address, owner),
                lambda: claims.of_target(cluster, found, domains, owner, kyma=is_kyma),
            )

        _, (site, shared) = both(policies, names)
        return found, site, shared

    def injector() -> None:
        if any(host.demo for host in settings.served.values()):
            control_plane.injector_of(cluster, injectors, settings.namespace, wanted.revision, "target.revision")

    def behind() -> list[tuple[str, ...]]:
        return side_by_side(partial(services.check, cluster, *each, owner) for each in settings.served.items())

    (found, site, shared), (_, broken) = both(gateway, lambda: both(injector, behind))
    warnings = (*shared, *chain(*broken))
    return ClusterFacts(found, injection(wanted.revision), site=site, warnings=warnings)


def _check_client(settings: Settings, name: str, cluster: Cluster, owner: str | None) -> ClusterFacts:
    client, is_kyma, path = settings.clients[name], settings.platform == Platform.KYMA, cluster.access.path
    is_closed = client.network_policy != NetworkPolicy.NONE
    cluster.check_apis(_ISTIO)
    if is_kyma:
        _check_istio_module(cluster)
    injectors = control_plane.injectors(cluster)
    domains = {host: each.domain for host, each in settings.hosts_of(name).items()}

    def gateway() -> tuple[IstioGateway, tuple[str, ...]]:
        to_come = DOCUMENTED_EGRESS if is_kyma else None
        found = gateways.find(cluster, client.egress_gateway, f"{path}.egressGateway", to_come=to_come)
        callers = {settings.namespace, *client.caller_namespaces}
        _, shared = both(
            lambda: _check_servers(cluster, found, client.gateway_passthrough),
            lambda: claims.of_client(cluster, found, domains, owner, callers),
        )
        return found, shared

    def istiods() -> tuple[Destination, ...]:
        if not (client.demo or is_closed):
            return ()
        own = control_plane.injector_of(cluster, injectors, settings.namespace, client.revision, f"{path}.revision")
        return control_plane.istiods(cluster, own, injectors, f"{path}.networkPolicy") if is_closed else ()

    def resolvers() -> tuple[Destination, ...]:
        return dns.find(cluster, client.dns, f"{path}.dns") if is_closed else ()

    (found, shared), allowed = both(gateway, lambda: side_by_side([resolvers, istiods]))
    logs_elsewhere = access_log.is_chosen(cluster, found, control_plane.mesh(cluster, injectors, found.revision))
    return ClusterFacts(found, injection(client.revision), tuple(chain(*allowed)), logs_elsewhere, warnings=shared)


def _check_istio_module(cluster: Cluster) -> None:
    """Refuse a cluster without the CR that the stack patches: server-side apply would make it, and so install Istio."""
    if not cluster.find("operator.kyma-project.io/v1alpha2", "Istio", "kyma-system", "default"):
        raise cluster.problem(_KYMA_ISTIO)


def _check_servers(cluster: Cluster, gateway: IstioGateway, passthrough: bool) -> None:
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
        spec, metadata = gateway.get("spec") or {}, gateway["metadata"]
        servers = spec.get("servers", []) if spec.get("selector", {}).items() <= labels.items() else []
        raw = [server for server in servers if server["port"]["protocol"].upper() in _RAW_PROTOCOLS]
        raw += [server for server in servers if _mode(server) in _RAW_MODES]
        if raw:
            yield f"{metadata['namespace']}/{metadata['name']}", any(_mode(server) in _MUTUAL_MODES for server in raw)


def _mode(server: Mapping[str, Any]) -> str:
    return str(server.get("tls", {}).get("mode", ""))


def _check_forwarding(settings: Settings, cluster: Cluster, read_mesh: Callable[[], control_plane.Mesh]) -> None:
    """Refuse dns: identities where the ingress gateway lets callers write the header that names them."""
    named = [name for name, client in settings.clients.items() if client.identity.startswith("dns:")]
    admitted = [name for name in named if settings.hosts_of(name)]
    if not admitted:
        return
    mode = read_mesh().get("defaultConfig", "gatewayTopology", "forwardClientCertDetails")
    if mode in _FORWARDED:
        raise cluster.problem(
            f"forwards the caller's own X-Forwarded-Client-Cert ({mode}), so that anybody could claim a DNS name; use "
            "a spiffe:// identity, or set forwardClientCertDetails to SANITIZE_SET",
            f"clients.{admitted[0]}.identity",
        )
