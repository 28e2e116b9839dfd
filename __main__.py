"""The stack: hosts behind mutual TLS in one cluster, and clients that call them through their egress gateways."""

import atexit
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import pulumi
import pulumi_random as random

import clusters
from clusters import Site, provider_files, rights
from components.ownership import Owner
from components.placement import Placement
from deployment import away, client_site, interruptions, target_site
from deployment.exports import Exports
from deployment.managed_site import ManagedSite, find_drift
from deployment.shared import Shared
from settings import ConfigError, Settings, read_config, validity

# The exit code of a program whose error has been shown: the engine shows no traceback.
_ERROR_WAS_SHOWN = 32
# When an `up` fails, the engine interrupts a program that still waits: the user needs no traceback of that either.
signal.signal(signal.SIGINT, lambda *_: sys.exit(_ERROR_WAS_SHOWN))
atexit.register(provider_files.remove)


async def main() -> None:
    """Check the config and the clusters, deploy the stack, and report drift."""
    try:
        settings = read_config(pulumi.runtime.get_config_env(), pulumi.runtime.is_config_secret, stack_file())
        for line in validity.warnings(settings):
            pulumi.log.warn(line)
        owner = random.RandomId("owner", byte_length=8).hex
        sites = clusters.check_sites(settings, Owner(await owner.future()))
        rights.check_rights(settings, sites)
        recorded = away.Recorded.read(pulumi.get_stack(), settings.away)
    except ConfigError as error:
        pulumi.log.error(f"stack {pulumi.get_stack()} cannot be planned:\n{error}")
        sys.exit(_ERROR_WAS_SHOWN)
    for line in (*map(away.warning, settings.away), *(line for site in sites for line in site.facts.warnings)):
        pulumi.log.warn(line)
    managed = deploy(settings, sites, recorded, owner)
    if lines := await find_drift(site.lifecycle for site in managed):
        pulumi.log.error("\n".join(lines))
        sys.exit(_ERROR_WAS_SHOWN)


def stack_file() -> str:
    """Return the text of the stack's usual file; empty if there is none. `--config-file` is not known here."""
    path = Path(f"Pulumi.{pulumi.get_stack()}.yaml")
    return path.read_text(errors="replace") if path.is_file() else ""


def deploy(
    settings: Settings, sites: Sequence[Site], recorded: away.Recorded, owner: pulumi.Output[str]
) -> list[ManagedSite]:
    """Deploy the stack into its sites and export its outputs; return the sites with their providers and lifecycles."""
    facts = interruptions.recorded(settings, sites, pulumi.get_stack(), recorded.facts(settings.away))
    placement = Placement("placement", facts, settings.confirm)
    shared = Shared.create(settings, owner)
    managed = [ManagedSite.create(site, owner, placement) for site in sites]
    exports = Exports(shared.partner_hosts(), shared.partner_clients())
    for site in managed:
        if site.client:
            client_site.deploy(shared, site, exports)
        else:
            target_site.deploy(shared, site, exports)
    for client in settings.away:
        client_site.keep(shared, client, recorded, exports)
    exports.export(shared.certificates)
    return managed


pulumi.run(main)
