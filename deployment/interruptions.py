"""Facts whose change interrupts the deployment; the user must confirm it."""

from collections.abc import Iterable, Mapping

from clusters import Site
from settings import Settings
from settings.gateway import GatewayMode


def recorded(settings: Settings, sites: Iterable[Site], stack: str, away: Mapping[str, str]) -> dict[str, str]:
    """Return the facts that cannot change without an interruption, by the config key that decides each.

    stack: its name, which is part of the identities of its clients
    away: the facts of clusters that are away
    """
    known = {**away, "stack": stack, "platform": str(settings.platform), "namespace": settings.namespace}
    for site in sites:
        known |= {site.path: site.cluster.uid, site.gateway_key: site.facts.gateway.name}
    if settings.gateway.mode != GatewayMode.NONE:
        known["gatewayMode"] = "gardener" if settings.gateway.mode == GatewayMode.GARDENER else "own or selfSigned"
        known["gatewayTakeOver"] = str(settings.gateway.take_over).lower()
    return known
