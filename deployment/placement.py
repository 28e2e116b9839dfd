"""Where a stack is deployed, and whether all of it is still there."""

from collections.abc import Collection

from clusters import Clusters
from components.lifecycle import Lifecycle
from settings import ConfigError, Settings
from settings.gateway import GatewayMode


def facts(settings: Settings, clusters: Clusters) -> dict[str, str]:
    """Return what cannot change without an interruption, by the config key that decides it."""
    known = {"platform": str(settings.platform), "namespace": settings.namespace}
    known |= {path: cluster.uid for path, cluster in clusters.all.items()}
    for path, offer in clusters.offers.items():
        known[f"{path}.{'ingressGateway' if path == 'target' else 'egressGateway'}"] = offer.gateway.name
    if settings.gateway.mode != GatewayMode.NONE:
        known["gatewayTakeOver"] = str(settings.gateway.take_over).lower()
    return known


async def missing(lifecycles: Collection[Lifecycle]) -> list[str]:
    """Return a line for each object that the state has and its cluster lacks."""
    try:
        return [line for lifecycle in lifecycles for line in await lifecycle.missing()]
    except ConfigError as error:
        return [str(error)]
