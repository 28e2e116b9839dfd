"""Facts whose change interrupts the deployment; the user must confirm it."""

from collections.abc import Iterable

from clusters import Site
from settings import Settings
from settings.gateway import GatewayMode


def recorded(settings: Settings, sites: Iterable[Site], stack: str) -> dict[str, str]:
    """Return the facts that cannot change without an interruption, by the config key that decides each.

    stack: its name, which is part of the identities of its clients
    """
    known = {"stack": stack, "platform": str(settings.platform), "namespace": settings.namespace}
    for site in sites:
        known |= {site.path: site.cluster.uid, site.gateway_key: site.facts.gateway.name}
    if settings.gateway.mode != GatewayMode.NONE:
        known["gatewayMode"] = "gardener" if settings.gateway.mode == GatewayMode.GARDENER else "own or selfSigned"
        known["gatewayTakeOver"] = str(settings.gateway.take_over).lower()
    return known
