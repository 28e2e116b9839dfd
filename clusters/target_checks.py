"""Checks of the target: the cluster that serves."""

from dataclasses import replace

from clusters import claims, control_plane, gateways, kyma_gateway_claims, kyma_gateway_facts, services
from clusters.cluster import Cluster
from clusters.facts import ClusterFacts
from clusters.forwarding import check_forwarding
from clusters.problems import Problems
from clusters.raw_servers import check_raw_servers
from components.istio_gateway import injection
from components.ownership import Owner
from settings import Platform, Settings, TargetCluster

_API_GATEWAY = ("gateway.kyma-project.io", "has no Kyma API Gateway module; add it, or set platform to istio")


def check_target(settings: Settings, cluster: Cluster, owner: Owner) -> ClusterFacts:
    """Return the facts of the target; raise ConfigError with all of its problems."""
    wanted = settings.target or TargetCluster()
    is_kyma = settings.platform == Platform.KYMA
    cluster.check_apis(*control_plane.APIS, *([_API_GATEWAY] if is_kyma else []))
    injectors = control_plane.injectors(cluster)
    problems = Problems()
    warnings: list[str] = []
    with problems:
        found = gateways.find(cluster, wanted.ingress_gateway, "target.ingressGateway")
        gateway = replace(found, passthrough=wanted.gateway_passthrough)
        with problems:
            check_raw_servers(cluster, gateway)
        with problems:
            check_forwarding(settings, cluster, injectors, gateway)
        with problems:
            kyma_gateway = kyma_gateway_facts.find(settings, cluster, gateway.address, owner)
            domain = kyma_gateway.domain if kyma_gateway else ""
            warnings += kyma_gateway_claims.of_domain(settings, cluster, gateway, domain, owner)
            warnings += kyma_gateway_claims.of_given_back(settings, cluster, owner)
        with problems:
            domains = {name: host.domain for name, host in settings.served.items()}
            warnings += claims.of_target(cluster, gateway, domains, owner, kyma=is_kyma)
    with problems:
        if any(host.demo for host in settings.served.values()):
            control_plane.injector_of(cluster, injectors, settings.namespace, wanted.revision, "target.revision")
    with problems:
        warnings += services.check_services(settings, cluster, owner)
    problems.raise_any()
    return ClusterFacts(gateway, injection(wanted.revision), kyma_gateway=kyma_gateway, warnings=tuple(warnings))
