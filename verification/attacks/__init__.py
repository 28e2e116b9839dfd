"""Attacks on a stack, a module for each means. Each check promises that an attack on a host or client fails."""

from collections.abc import Iterator

from verification.attacks import (
    certificates,
    egress_gateway,
    foreign_routes,
    forged_header,
    host_names,
    network,
    protocols,
    workload,
)
from verification.checks import Check
from verification.context import ClientContext, HostContext


def of_host(host: HostContext) -> Iterator[Check]:
    """Yield all attacks on a host that the target serves."""
    yield from certificates.checks(host)
    yield from host_names.checks(host)
    yield from protocols.checks(host)
    yield from forged_header.of_host(host)
    yield from workload.checks(host)
    yield from foreign_routes.checks(host)


def of_client(client: ClientContext) -> Iterator[Check]:
    """Yield all attacks on a client; none if it has no cluster, or that is away, or no host admits it."""
    if client.name in client.stack.settings.present_clients and client.hosts:
        yield from forged_header.of_client(client)
        yield from egress_gateway.checks(client)
        yield from network.checks(client)
