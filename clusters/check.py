"""What must be true of the clusters before anything is planned for them; they are asked side by side."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import yaml

from clusters.cluster import Cluster, connect
from clusters.side_by_side import side_by_side
from components.kubernetes import EGRESS_GATEWAY, INGRESS_GATEWAY, ISTIO_SYSTEM
from settings import Platform, Settings
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
    """Connections to the stack's clusters: the target, if there is one, and the clients by name."""

    target: Cluster | None = None
    clients: Mapping[str, Cluster] = field(default_factory=dict)

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
    checks = [partial(_check_client, settings, name, cluster) for name, cluster in found.clients.items()]
    if found.target:
        checks.insert(0, partial(_check_target, settings, found.target))
        checks += [
            partial(_check_service, found.target, name, host.service)
            for name, host in settings.served.items()
            if host.service
        ]
    side_by_side(checks)
    return found


def _check_apart(clusters: Iterable[Cluster]) -> None:
    seen: dict[str, Cluster] = {}
    for cluster in clusters:
        if other := seen.get(cluster.uid):
            raise cluster.problem(f"is that of {other.access.path}, too; each needs a cluster of its own")
        seen[cluster.uid] = cluster


def _check_target(settings: Settings, cluster: Cluster) -> None:
    cluster.check_apis(_ISTIO, *([_API_GATEWAY] if settings.platform == Platform.KYMA else []))
    _check_gateway(cluster, INGRESS_GATEWAY, settings.target is not None and settings.target.gateway_passthrough)
    _check_forwarding(settings, cluster)


def _check_client(settings: Settings, name: str, cluster: Cluster) -> None:
    if settings.platform == Platform.KYMA:
        cluster.check_apis(_ISTIO, _KYMA_ISTIO)
    else:
        cluster.check_apis(_ISTIO)
    is_enabled_by_us = settings.platform == Platform.KYMA
    _check_gateway(
        cluster, EGRESS_GATEWAY, settings.own_clients[name].gateway_passthrough, may_be_missing=is_enabled_by_us
    )


def _check_gateway(
    cluster: Cluster, labels: Mapping[str, str], passthrough: bool, *, may_be_missing: bool = False
) -> None:
    service = f"istio-{labels['istio']}"
    if not may_be_missing and not cluster.read(f"/api/v1/namespaces/{ISTIO_SYSTEM}/services/{service}"):
        raise cluster.problem(f"has no Service {service} in {ISTIO_SYSTEM}")
    raw = dict(_raw_servers(cluster, labels))
    policy = f"without looking at a host, through {service}; a policy of this stack would end that"
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
    """Yield each Gateway that serves something else than HTTP on the gateway with these labels.

    The second value says whether it asks for client certificates: Istio then sees a principal.
    """
    on_it = set({**labels, "app": f"istio-{labels['istio']}"}.items())
    for gateway in cluster.items("/apis/networking.istio.io/v1/gateways"):
        spec, metadata = gateway["spec"], gateway["metadata"]
        servers = spec.get("servers", []) if set(spec.get("selector", {}).items()) <= on_it else []
        raw = [server for server in servers if server["port"]["protocol"].upper() in _RAW_PROTOCOLS]
        raw += [server for server in servers if _mode(server) in _RAW_MODES]
        if raw:
            yield f"{metadata['namespace']}/{metadata['name']}", any(_mode(server) in _MUTUAL_MODES for server in raw)


def _mode(server: Mapping[str, Any]) -> str:
    return str(server.get("tls", {}).get("mode", ""))


def _check_forwarding(settings: Settings, cluster: Cluster) -> None:
    """Refuse dns: identities where the ingress gateway lets callers write the header that names them."""
    named = [name for name, client in settings.clients.items() if client.identity.startswith("dns:")]
    admitted = [name for name in named if settings.hosts_of(name)]
    if not admitted:
        return
    found = cluster.read(f"/api/v1/namespaces/{ISTIO_SYSTEM}/configmaps/istio") or {}
    setting = yaml.safe_load((found.get("data") or {}).get("mesh", "")) or {}
    for key in ("defaultConfig", "gatewayTopology"):
        setting = setting.get(key) or {}
    mode = setting.get("forwardClientCertDetails")
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
