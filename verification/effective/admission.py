"""The promise that the ingress gateway's proxies admit exactly the identities that a host lists."""

from collections.abc import Iterator
from functools import partial

from clusters.forwarding import FORWARDS_CALLERS_HEADER
from proxies.dump import Dump
from proxies.matchers import Peer, Request
from verification.checks import Check
from verification.context import HostContext
from verification.effective.requests import WITHOUT_A_NAME, check_judged, naming, serving

_PROMISE = "the ingress gateway's proxies admit exactly the listed identities"
_STRANGERS = (
    Peer.of("spiffe://verification.invalid/client"),
    Peer.of("dns:verification.invalid"),
    WITHOUT_A_NAME,
)


def check(host: HostContext) -> Check:
    """Return the check of a host."""
    expected = "no rule of any object that admits or refuses another identity, in any ready replica"
    return host.check(_PROMISE, expected, partial(identities_are_admitted, host), host.look_policy)


def identities_are_admitted(host: HostContext) -> str:
    """Judge by the filters of each replica the listed identities, strangers, and whomever a rule names."""
    listed = sorted(host.output.clients.values())
    return host.ingress_dumps.judge(partial(problems, domain=host.domain, listed=listed), _named(listed))


def problems(dump: Dump, domain: str, listed: list[str]) -> Iterator[str]:
    """Yield whom a replica admits, or refuses, unlike these identities."""
    named = naming(dump, domain)
    if not named:
        yield f"has no filter chain for {domain}"
    for served in serving(dump, domain):
        # Only the host's own chain must tell them: no other leads to its Service.
        examples = list(map(Peer.of, listed)) if served in named else []
        claiming = [Peer.claiming(each) for each in listed if each.startswith("dns:") and served in named]
        strangers = (*_STRANGERS, *claiming)
        yield from served.problems(domain, examples, strangers, lambda peer: peer.identity in listed)
    for served in named:
        if served.chain.client_header in FORWARDS_CALLERS_HEADER:
            yield f"forwards the X-Forwarded-Client-Cert that a client wrote itself ({served.chain.client_header})"
    check_judged((served.chain for served in serving(dump, domain)), Request(Peer(), domain, server_name=domain))


def _named(listed: list[str]) -> str:
    return ", ".join(listed) or "nobody"
