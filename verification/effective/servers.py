"""The promise that the egress gateway connects to no server with a different name or CA, and shows its certificate."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from proxies.dump import Dump
from proxies.tls import Tls
from verification.checks import Check
from verification.context import ClientContext, HostContext
from verification.effective.tls_settings import CA, fingerprints, shown, signed, strength, trusted


@dataclass(frozen=True)
class Wanted:
    """The TLS to a host's server.

    secret: of the credential; for a partner's host, the beginning of its name
    certificate, authorities: fingerprints
    """

    domain: str
    port: int
    secret: str
    certificate: Sequence[str]
    authorities: Sequence[str]


def check(client: ClientContext, host: HostContext) -> Check:
    """Return the check of a client's connections to a host."""
    promise = f"the egress gateway accepts no server with a different name or CA as {host.name}"
    gateway = client.gateway
    look = client.look(f"istioctl proxy-config clusters -n {gateway.namespace} svc/{gateway.name} -o yaml")
    expected = "this name, the CA and the client's certificate by their fingerprints, in any ready replica"
    return client.check(promise, expected, partial(server_is_verified, client, host), look, host.name)


def server_is_verified(client: ClientContext, host: HostContext) -> str:
    """Compare the connections of each replica to a host with the client's certificate, and the host's CA."""
    external = host.settings.external
    wanted = Wanted(
        host.domain,
        host.port,
        f"client-credential-{client.output.namespace}-{host.name}" if external else client.output.secret,
        fingerprints(
            external.credentials[client.name].certificate if external else signed(client.stack, "client", client.name)
        ),
        fingerprints(external.certificate_authority if external else client.stack.outputs.ca_certificate),
    )
    says = f"{host.domain} only, by the CA of the stack" if not external else f"{host.domain} only, by the partner's CA"
    return client.egress_dumps.judge(partial(problems, wanted=wanted), says)


def problems(dump: Dump, wanted: Wanted) -> Iterator[str]:
    """Yield what is wrong with the connections of a replica."""
    name = f"outbound|{wanted.port}||{wanted.domain}"
    sockets = dump.sockets(name)
    if not sockets:
        yield f"has no cluster {name}"
    for tls in sockets:
        yield from _socket(dump, tls, wanted)


def _socket(dump: Dump, tls: Tls, wanted: Wanted) -> Iterator[str]:
    if not tls.is_used:
        yield f"connects to {wanted.domain} in clear"
        return
    if tls.names != {wanted.domain}:
        yield f"accepts a server of {', '.join(sorted(tls.names)) or 'any name'}"
    if tls.sni != wanted.domain:
        yield f"asks for the server name {tls.sni or 'none'}"
    if not tls.secret.startswith(wanted.secret) or not tls.trusts:
        yield f"has the Secrets {tls.secret or 'none'} and {tls.trusts or 'none'}, not {wanted.secret}"
    yield from shown(dump, tls.secret, wanted.certificate)
    if tls.trusts:
        yield from trusted(dump, tls.trusts, wanted.authorities)
    if tls.trusts and tls.trusts != f"{tls.secret}{CA}":
        yield f"trusts the CA of {tls.trusts}"
    yield from strength(tls)
