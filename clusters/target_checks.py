"""Checks of the target: the cluster that serves."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from clusters import claims, control_plane, gateways, kyma_gateway_claims, kyma_gateway_facts, services
from clusters.cluster import Cluster
from clusters.concurrency import outcomes
from clusters.control_plane import Injector
from clusters.facts import ClusterFacts, KymaGatewayFacts
from clusters.forwarding import check_forwarding
from clusters.problems import Problems
from clusters.raw_servers import check_raw_servers
from components.istio_gateway import IstioGateway, injection
from components.ownership import Owner
from settings import Platform, Settings, TargetCluster

_API_GATEWAY = ("gateway.kyma-project.io", "has no Kyma API Gateway module; add it, or set platform to istio")


def check_target(settings: Settings, cluster: Cluster, owner: Owner) -> ClusterFacts:
    """Return the facts of the target; raise ConfigError with all of its problems."""
    wanted = settings.target or TargetCluster()
    needed = [*control_plane.APIS, *([_API_GATEWAY] if settings.platform == Platform.KYMA else [])]
    first: list[Callable[[], Any]] = [
        partial(cluster.check_apis, *needed),
        partial(control_plane.injectors, cluster),
        partial(gateways.find, cluster, wanted.ingress_gateway, "target.ingressGateway"),
        partial(services.check_services, settings, cluster, owner),
    ]
    checked, injecting, finding, serving = outcomes(first)
    checked()
    injectors: list[Injector] = injecting()
    problems, warnings = Problems(), list[str]()
    with problems:
        gateway: IstioGateway = replace(finding(), passthrough=wanted.gateway_passthrough)
        behind = _GatewayChecks(settings, cluster, gateway, owner)
        check_raw, check_header, find_gateway, check_claims = outcomes(behind.calls(injectors))
        with problems:
            check_raw()
        with problems:
            check_header()
        with problems:
            kyma_gateway, further = find_gateway()
            warnings += further
        with problems:
            warnings += check_claims()
    with problems:
        if any(host.demo for host in settings.served.values()):
            control_plane.injector_of(cluster, injectors, settings.namespace, wanted.revision, "target.revision")
    with problems:
        warnings += serving()
    problems.raise_any()
    return ClusterFacts(gateway, injection(wanted.revision), kyma_gateway=kyma_gateway, warnings=tuple(warnings))


@dataclass(frozen=True)
class _GatewayChecks:
    """Checks of the ingress gateway, and of what it serves."""

    settings: Settings
    cluster: Cluster
    gateway: IstioGateway
    owner: Owner

    def calls(self, injectors: list[Injector]) -> list[Callable[[], Any]]:
        """Return the checks of raw servers, forwarded headers, the Kyma gateway, and claims."""
        domains = {name: host.domain for name, host in self.settings.served.items()}
        is_kyma = self.settings.platform == Platform.KYMA
        return [
            partial(check_raw_servers, self.cluster, self.gateway),
            partial(check_forwarding, self.settings, self.cluster, injectors, self.gateway),
            self._kyma_gateway,
            partial(claims.of_target, self.cluster, self.gateway, domains, self.owner, kyma=is_kyma),
        ]

    def _kyma_gateway(self) -> tuple[KymaGatewayFacts | None, tuple[str, ...]]:
        found = kyma_gateway_facts.find(self.settings, self.cluster, self.gateway.address, self.owner)
        domain = found.domain if found else ""
        claimed = kyma_gateway_claims.of_domain(self.settings, self.cluster, self.gateway, domain, self.owner)
        return found, (*claimed, *kyma_gateway_claims.of_given_back(self.settings, self.cluster, self.owner))
