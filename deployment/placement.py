"""Where a stack is deployed, and whether all of it is still there."""

from collections.abc import Collection

from clusters import Clusters
from components.lifecycle import Lifecycle
from settings import ConfigError, Settings
from settings.gateway import GatewayMode

_REMEDY = (
    "`pulumi up --refresh` makes anew what somebody deleted, and sets again what somebody changed; before a destroy, "
    "`pulumi refresh` forgets it"
)


def facts(settings: Settings, clusters: Clusters) -> dict[str, str]:
    """Return what cannot change without an interruption, by the config key that decides it."""
    known = {"platform": str(settings.platform), "namespace": settings.namespace}
    known |= {path: cluster.uid for path, cluster in clusters.all.items()}
    for path, offer in clusters.offers.items():
        known[f"{path}.{'ingressGateway' if path == 'target' else 'egressGateway'}"] = offer.gateway.name
    if settings.gateway.mode != GatewayMode.NONE:
        known["gatewayMode"] = "gardener" if settings.gateway.mode == GatewayMode.GARDENER else "own or selfSigned"
        known["gatewayTakeOver"] = str(settings.gateway.take_over).lower()
    return known


async def missing(lifecycles: Collection[Lifecycle]) -> list[str]:
    """Return a line for each object that the state has and its cluster lacks, and one that says what helps.

    A cluster that does not answer is told of instead.
    """
    lost: list[str] = []
    problems: list[str] = []
    for lifecycle in lifecycles:
        try:
            lost += await lifecycle.missing()
        except ConfigError as error:
            problems.append(str(error))
    return [*problems, *lost, *([_REMEDY] if lost else [])]
