"""The promise that the sidecars of declared callers lead requests for a host to the egress gateway alone."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from components.istio_gateway import entry_host
from proxies.dump import Dump, Listener, virtual_host
from proxies.parts import Parts, ways_out_parts
from proxies.sidecars import sample
from settings import ConfigError
from verification.checks import Check, Failed, Skipped
from verification.context import ClientContext, HostContext
from verification.dumps import Question

_ANYWHERE = ("0.0.0.0_", "::_", "[::]_")
_ALLOCATED = ("240.240.", "2001:2:")
"""Addresses by which Istio's own DNS answers for an entry without one:
https://istio.io/latest/docs/ops/configuration/traffic-management/dns-proxy/#address-auto-allocation
"""
_HTTP, _HTTPS = "80", 443


@dataclass(frozen=True)
class Way:
    """The way of callers to a host.

    entry: host name of the egress gateway for it in the mesh; empty if the sidecars refuse each request
    ports: of the host, for TLS
    gateway: namespace and service accounts of the egress gateway
    """

    domain: str
    entry: str
    ports: tuple[int, ...]
    gateway: tuple[str, tuple[str, ...]]

    @property
    def upstream(self) -> str:
        """The cluster that leads to the egress gateway."""
        return f"outbound|{_HTTPS}||{self.entry}"


def checks(client: ClientContext) -> Iterator[Check]:
    """Yield the check of each host that the callers' sidecars know."""
    for name in client.stack.settings.known_to(client.name):
        host = HostContext(client.stack, name)
        is_led = client.name in client.stack.settings.admitted(name) and not host.awaits_partner(client.name)
        promise = f"the callers' sidecars {'lead' if is_led else 'refuse'} requests for {name}" + (
            " to the egress gateway alone" if is_led else ""
        )
        look = client.look("istioctl proxy-config routes POD -n NAMESPACE --name 80; istioctl proxy-config clusters …")
        run = partial(requests_are_led, client, host, is_led=is_led)
        yield client.check(promise, "no further way, in any sidecar that was asked", run, look, name)


def requests_are_led(client: ClientContext, host: HostContext, *, is_led: bool) -> str:
    """Judge the routes, clusters and listeners of some sidecars of each caller."""
    gateway = client.egress_gateway
    way = Way(
        host.domain,
        entry_host(client.output.namespace, host.name) if is_led else "",
        tuple(sorted({_HTTPS, host.port})),
        (gateway.namespace, gateway.accounts),
    )
    parts = _parts(client)
    seen, broken, untried, troubles = [], [], [], []
    for caller in client.output.callers:
        try:
            answers = client.stack.dumps.ask(client.reached, _question(client, caller, parts))
            seen.append(f"{caller}: {answers.judge(partial(problems, way=way), 'as declared')}")
        except Failed as failure:
            broken.append(str(failure))
        except Skipped as reason:
            untried.append(str(reason))
        except ConfigError as trouble:
            troubles.append(trouble)
    if broken:
        raise Failed("; ".join(broken))
    if troubles:
        raise troubles[0]
    if untried:
        raise Skipped("; ".join([*dict.fromkeys(untried), *seen]))
    return ", ".join(seen)


def problems(dump: Dump, way: Way) -> Iterator[str]:
    """Yield where else a sidecar leads requests for a host."""
    table = dump.routes.get(_HTTP, {})
    targets = virtual_host(table, way.domain) if way.domain in table else ()
    if not targets:
        yield f"has no route for {way.domain}, so that requests leave in clear"
    wanted = {way.upstream} if way.entry else set()
    for name in sorted({name for each in targets for name in each.upstreams | each.mirrors} - wanted):
        yield f"leads requests for {way.domain} to {name}"
    if any(each.redirects for each in targets):
        yield f"redirects requests for {way.domain}"
    if targets and way.entry and not any(way.upstream in each.upstreams for each in targets):
        yield f"does not lead requests for {way.domain} to the egress gateway"
    if way.entry:
        yield from _connection(dump, way)
    for port in way.ports:
        yield from _past(dump, way.domain, port)


def _connection(dump: Dump, way: Way) -> Iterator[str]:
    """Yield what is wrong with the connections to the egress gateway."""
    sockets = dump.sockets(way.upstream)
    if not sockets or not all(each.is_used for each in sockets):
        yield f"has no mutual TLS to the egress gateway, by {way.upstream}"
        return
    namespace, accounts = way.gateway
    endings = tuple(f"/ns/{namespace}/sa/{each}" for each in accounts)
    for tls in sockets:
        if not tls.names or not all(name.endswith(endings) for name in tls.names):
            yield f"takes {', '.join(sorted(tls.names)) or 'any workload'} for the egress gateway"
        if (tls.sni, tls.secret, tls.trusts) != (way.domain, "default", "ROOTCA"):
            yield f"asks the egress gateway for {tls.sni or 'no server name'}, by {tls.secret or 'no certificate'}"


def _past(dump: Dump, domain: str, port: int) -> Iterator[str]:
    """Yield how a connection to a port of the host gets past the egress gateway: its own entry has no endpoints."""
    own = f"outbound|{port}||{domain}"
    found = [each for each in dump.listeners if each.port == port]
    listeners = [each for each in found if each.name.startswith(_ANYWHERE)]
    listeners += [each for each in found if each.name.startswith(_ALLOCATED) and own in _forwards(each, domain)]
    if not listeners:
        yield f"lets connections to port {port} of {domain} out"
    for name in sorted({name for each in listeners for name in _forwards(each, domain)}):
        if name != own or name in dump.endpoints:
            yield f"leads connections to port {port} of {domain} to {name}"


def _forwards(listener: Listener, domain: str) -> frozenset[str]:
    taking = (each for each in listener.taking(domain) if not each.addresses or domain in each.server_names)
    return frozenset(name for each in taking for name in each.forwards)


def _parts(client: ClientContext) -> Parts:
    known = [HostContext(client.stack, name) for name in client.stack.settings.known_to(client.name)]
    hosts = [name for each in known for name in (each.domain, entry_host(client.output.namespace, each.name))]
    return ways_out_parts([_HTTPS, *(each.port for each in known)], hosts)


def _question(client: ClientContext, caller: str, parts: Parts) -> Question:
    namespace, _, account = caller.partition("/")
    running = "status.phase=Running"
    fields = f"spec.serviceAccountName={account},{running}" if account else running
    query: Mapping[str, str] = {"fieldSelector": fields, "limit": "200"}
    return Question(client.path, namespace, query, parts, sample, f"no Pod of caller {caller} with a sidecar is ready")
