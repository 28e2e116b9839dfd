"""Promises that the proxies of gateways and Pods keep by the configuration that is in effect in them.

What Envoy has is compared with the config, the outputs and the state of the stack, not with the cluster's objects.
"""

from collections.abc import Iterator

from verification.checks import Check
from verification.context import ClientContext, HostContext
from verification.effective import (
    admission,
    callers,
    certificates,
    credentials,
    egress,
    routes,
    servers,
    updates,
    workloads,
)
from verification.stack import DeployedStack


def of_host(host: HostContext) -> Iterator[Check]:
    """Yield the checks of a host that the target serves."""
    yield admission.check(host)
    yield routes.check(host)
    yield certificates.check(host)
    yield routes.check_further_ways(host)
    yield workloads.check(host)


def of_client(client: ClientContext) -> Iterator[Check]:
    """Yield the checks of a client; none if it has no cluster, or that is away."""
    if client.name not in client.stack.settings.present_clients:
        return
    for host in client.callable_hosts:
        yield egress.check(client, host)
        yield servers.check(client, host)
    yield from callers.checks(client)
    yield from credentials.checks(client)


def of_stack(stack: DeployedStack) -> Iterator[Check]:
    """Yield the checks of the gateways of each connected cluster."""
    yield from updates.checks(stack)
