"""Attempts to break in, by what they abuse. Each is one promise of a host or a client: that the attempt fails."""

from collections.abc import Iterator

from verification.attacks import (
    certificates,
    egress_gateway,
    foreign_routes,
    forged_header,
    host_names,
    network,
    protocols,
    server_identity,
    workload,
)
from verification.checks import Check
from verification.stack import DeployedStack


def of_host(stack: DeployedStack, host: str) -> Iterator[Check]:
    """All attacks on a host that the target serves."""
    yield from certificates.checks(stack, host)
    yield from host_names.checks(stack, host)
    yield from protocols.checks(stack, host)
    yield from forged_header.of_host(stack, host)
    yield from workload.checks(stack, host)
    yield from foreign_routes.checks(stack, host)


def of_client(stack: DeployedStack, client: str) -> Iterator[Check]:
    """All attacks on a client that has a cluster, and is admitted by a host."""
    if client in stack.settings.own_clients and stack.settings.hosts_of(client):
        yield from forged_header.of_client(stack, client)
        yield from egress_gateway.checks(stack, client)
        yield from server_identity.checks(stack, client)
        yield from network.checks(stack, client)
