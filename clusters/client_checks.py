"""Checks of a client's cluster: the one that calls out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from clusters import access_log, claims, control_plane, dns, gateways, kyma_istio
from clusters.callers import CallerChecks
from clusters.cluster import Cluster
from clusters.concurrency import outcomes, parallel
from clusters.control_plane import Injector
from clusters.facts import ClusterFacts
from clusters.problems import Problems
from clusters.raw_servers import check_raw_servers
from clusters.visibility import Calls, check_visibility
from components.istio_gateway import DOCUMENTED_EGRESS, Destination, IstioGateway, injection
from components.ownership import Owner
from settings import Client, NetworkPolicy, Platform, Settings

_NO_ISTIO_MODULE = "has no Kyma Istio module (no Istio kyma-system/default); add it, or set platform to istio"

_ONE_REPLICA = "runs one Pod of egress gateway {}: requests fail while it is replaced; run two or more"


def check_client(settings: Settings, name: str, cluster: Cluster, owner: Owner) -> ClusterFacts:
    """Return the facts of the cluster of client `name`; raise ConfigError with all of its problems."""
    client, path, is_kyma = settings.clients[name], cluster.access.path, settings.platform == Platform.KYMA
    has_policy = client.network_policy != NetworkPolicy.NONE
    to_come = DOCUMENTED_EGRESS if is_kyma else None
    first: list[Callable[[], Any]] = [
        partial(cluster.check_apis, *control_plane.APIS),
        partial(_istio_module, cluster) if is_kyma else dict,
        partial(control_plane.injectors, cluster),
        partial(gateways.find, cluster, client.egress_gateway, f"{path}.egressGateway", to_come=to_come),
        partial(dns.find, cluster, client.dns, f"{path}.dns") if has_policy else tuple,
    ]
    checked, module, injecting, finding, resolving = outcomes(first)
    checked()
    istio: Mapping[str, Any] | None = module() or None
    injectors: list[Injector] = injecting()
    problems, warnings, destinations = Problems(), list[str](), list[Destination]()
    with problems:
        gateway: IstioGateway = replace(finding(), passthrough=client.gateway_passthrough)
        if gateway.replicas == 1 and not client.demo:
            warnings.append(str(cluster.problem(_ONE_REPLICA.format(gateway.name), f"{path}.egressGateway")))
        behind = _GatewayChecks(settings, name, cluster, gateway, owner)
        check_raw, check_claims, check_mesh, check_callers = outcomes(behind.calls(injectors, istio))
        with problems:
            check_raw()
        with problems:
            warnings += check_claims()
        with problems:
            access_log_configured, further = check_mesh()
            warnings += further
        with problems:
            warnings += check_callers()
    with problems:
        destinations += resolving()
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
        access_log_configured,
        warnings=tuple(warnings),
    )


@dataclass(frozen=True)
class _GatewayChecks:
    """Checks of a client's egress gateway, and of its callers' way to it.

    name: of the client
    """

    settings: Settings
    name: str
    cluster: Cluster
    gateway: IstioGateway
    owner: Owner

    @property
    def client(self) -> Client:
        """The client's config."""
        return self.settings.clients[self.name]

    def calls(self, injectors: list[Injector], istio: Mapping[str, Any] | None) -> list[Callable[[], Any]]:
        """Return the checks of raw servers, claims, the mesh config, and callers."""
        domains = {host: each.domain for host, each in self.settings.hosts.items()}
        known = {host: each.domain for host, each in self.settings.known_to(self.name).items()}
        seen_by = {self.gateway.namespace, self.settings.namespace, *self.client.caller_namespaces}
        callers = CallerChecks(self.settings, self.name, self.cluster, self.gateway, injectors, istio)
        return [
            partial(check_raw_servers, self.cluster, self.gateway),
            partial(claims.of_client, self.cluster, self.gateway, domains, self.owner, seen_by),
            partial(self._mesh, known, injectors),
            partial(callers.warnings, self.owner),
        ]

    def _mesh(self, domains: Mapping[str, str], injectors: list[Injector]) -> tuple[bool, tuple[str, ...]]:
        """Return whether the gateway's access log is configured, and warnings about the callers' routes."""
        mesh = control_plane.mesh(self.cluster, injectors, self.gateway.revision)
        namespaces = [each for each in self.client.caller_namespaces if each != self.settings.namespace]
        calls = Calls(self.settings.namespace, injection(self.client.revision), namespaces, self.gateway, domains)
        checks: list[Callable[[], Any]] = [
            partial(check_visibility, self.cluster, calls, mesh, self.owner),
            partial(access_log.is_configured, self.cluster, self.gateway, mesh),
        ]
        warnings, is_logged = parallel(checks)
        return is_logged, warnings


def _istio_module(cluster: Cluster) -> Mapping[str, Any]:
    """Return the CR that the stack patches; refuse a cluster without it: server-side apply would install Istio."""
    found = kyma_istio.find(cluster)
    if not found:
        raise cluster.problem(_NO_ISTIO_MODULE)
    return found
