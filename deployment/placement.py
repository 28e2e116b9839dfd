"""Where a stack is deployed, and whether all of it is still there."""

from collections.abc import Collection

import pulumi

from clusters import Clusters
from components.lifecycle import Lifecycle
from settings import ConfigError, Settings
from settings.gateway import GatewayMode


def facts(settings: Settings, clusters: Clusters) -> dict[str, str]:
    """Return what cannot change without an interruption, by the config key that decides it."""
    known = {"platform": str(settings.platform), "namespace": settings.namespace}
    known |= {path: cluster.uid for path, cluster in clusters.all.items()}
    if settings.gateway.mode != GatewayMode.NONE:
        known["gatewayTakeOver"] = str(settings.gateway.take_over).lower()
    return known


async def check_whole(lifecycles: Collection[Lifecycle]) -> None:
    """Raise RunError if an object that the state has is gone from its cluster; warn of what a killed update left."""
    try:
        lost = [line for lifecycle in lifecycles for line in await lifecycle.missing()]
        strays = [line for lifecycle in lifecycles for line in await lifecycle.strays()]
    except ConfigError as error:
        raise pulumi.RunError(str(error)) from None
    for stray in strays:
        pulumi.log.warn(stray)
    if lost:
        lines = "\n".join(lost)
        raise pulumi.RunError(f"{lines}\n`pulumi up --refresh` makes anew what somebody else has deleted")
