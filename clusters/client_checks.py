"""Checks of a client's cluster: the one that calls out."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from clusters import access_log, claims, control_plane, dns, gateways, kyma_istio
from clusters.callers import CallerChecks
from clusters.cluster import Cluster
from clusters.facts import ClusterFacts
from clusters.problems import Problems
from clusters.raw_servers import check_raw_servers
from clusters.visibility import Calls, check_visibility
from components.istio_gateway import DOCUMENTED_EGRESS, Destination, injection
from components.ownership import Owner
from settings import NetworkPolicy, Platform, Settings

_NO_ISTIO_MODULE = "has no Kyma Istio module (no Istio kyma-system/default); add it, or set platform to istio"

_ONE_REPLICA = "runs one Pod of egress gateway {}: requests fail while it is replaced; run two or more"


def check_client(settings: Settings, name: str, cluster: Cluster, owner: Owner) -> ClusterFacts:
    """Return the facts of the cluster of client `name`; raise ConfigError with all of its problems."""
    client, path, is_kyma = settings.clients[name], cluster.access.path, settings.platform == Platform.KYMA
    has_policy = client.network_policy != NetworkPolicy.NONE
    cluster.check_apis(*control_plane.APIS)
    istio = _istio_module(cluster) if is_kyma else None
    injectors = control_plane.injectors(cluster)
    problems = Problems()
    destinations: list[Destination] = []
    warnings: list[str] = []
    with problems:
        to_come = DOCUMENTED_EGRESS if is_kyma else None
        found = gateways.find(cluster, client.egress_gateway, f"{path}.egressGateway", to_come=to_come)
        gateway = replace(found, passthrough=client.gateway_passthrough)
        if gateway.replicas == 1 and not client.demo:
            warnings.append(str(cluster.problem(_ONE_REPLICA.format(gateway.name), f"{path}.egressGateway")))
        with problems:
            check_raw_servers(cluster, gateway)
        with problems:
            domains = {host: each.domain for host, each in settings.hosts.items()}
            seen_by = {gateway.namespace, settings.namespace, *client.caller_namespaces}
            warnings += claims.of_client(cluster, gateway, domains, owner, seen_by)
        with problems:
            mesh = control_plane.mesh(cluster, injectors, gateway.revision)
            namespaces = [each for each in client.caller_namespaces if each != settings.namespace]
            calls = Calls(settings.namespace, injection(client.revision), namespaces, gateway, domains)
            warnings += check_visibility(cluster, calls, mesh, owner)
        with problems:
            warnings += CallerChecks(settings, name, cluster, gateway, injectors, istio).warnings(owner)
    with problems:
        if has_policy:
            destinations += dns.find(cluster, client.dns, f"{path}.dns")
    with problems:
        if client.demo or has_policy:
            own = control_plane.injector_of(cluster, injectors, settings.namespace, client.revision, f"{path}.revision")
            if has_policy:
                destinations += control_plane.istiods(cluster, own, injectors, f"{path}.networkPolicy")
    problems.raise_any()
    return ClusterFacts(
        gateway,
        injection(client.revision),
        tuple(destinations),
        access_log.is_configured(cluster, gateway, mesh),
        warnings=tuple(warnings),
    )


def _istio_module(cluster: Cluster) -> Mapping[str, Any]:
    """Return the CR that the stack patches; refuse a cluster without it: server-side apply would install Istio."""
    found = kyma_istio.find(cluster)
    if not found:
        raise cluster.problem(_NO_ISTIO_MODULE)
    return found
