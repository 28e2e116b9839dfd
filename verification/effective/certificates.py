"""The promise that the ingress gateway's proxies show a host's certificate, and demand one of a CA that it trusts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from components import certificate_names
from proxies.dump import Dump
from verification.checks import Check
from verification.context import HostContext
from verification.effective.requests import naming
from verification.effective.tls_settings import CA, fingerprints, shown, signed, strength, trusted

_PROMISE = "the ingress gateway's proxies show the host's certificate, and demand one of a CA that it trusts"


@dataclass(frozen=True)
class Wanted:
    """The TLS of a host.

    certificate, authorities: fingerprints
    names: one of which a client's certificate must have; none for any
    """

    domain: str
    secret: str
    certificate: Sequence[str]
    authorities: Sequence[str]
    names: frozenset[str] = frozenset()


def check(host: HostContext) -> Check:
    """Return the check of a host."""
    expected = "the stack's certificate and CAs by their fingerprints, TLS 1.2 or newer, in any ready replica"
    return host.check(_PROMISE, expected, partial(certificates_are_the_stacks, host))


def certificates_are_the_stacks(host: HostContext) -> str:
    """Compare the TLS of each replica with the state's certificate, and with the CAs of the host's clients."""
    stack, identities = host.stack, list(host.output.clients.values())
    wanted = Wanted(
        host.domain,
        host.output.secret,
        fingerprints(signed(stack, "host", host.name)),
        fingerprints(_authorities(host)),
        frozenset(certificate_names.names(identities) if certificate_names.are_compared(identities) else ()),
    )
    return host.ingress_dumps.judge(partial(problems, wanted=wanted), f"sha256:{wanted.certificate[0][:16]}")


def problems(dump: Dump, wanted: Wanted) -> Iterator[str]:
    """Yield what is wrong with the TLS of a replica."""
    named = naming(dump, wanted.domain)
    if not named:
        yield f"has no filter chain for {wanted.domain}"
    for served in named:
        tls = served.chain.tls
        if not tls.asks_for_certificate:
            yield "asks for no client certificate"
        if tls.secret != wanted.secret or tls.trusts != f"{wanted.secret}{CA}":
            yield f"has the Secrets {tls.secret or 'none'} and {tls.trusts or 'none'}, not {wanted.secret}"
        if wanted.names and tls.names != wanted.names:
            yield f"accepts the names {', '.join(sorted(tls.names)) or 'of any certificate'}"
        yield from shown(dump, tls.secret, wanted.certificate)
        yield from trusted(dump, tls.trusts, wanted.authorities)
        yield from strength(tls)


def _authorities(host: HostContext) -> str:
    clients = [host.stack.settings.clients[name] for name in host.stack.settings.admitted(host.name)]
    partners = [client.certificate_authority for client in clients if client.is_partner]
    own = [host.stack.outputs.ca_certificate] if host.trusts_the_stacks_ca else []
    return "\n".join([*own, *partners])
