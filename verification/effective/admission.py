"""The promise that the ingress gateway's proxies admit exactly the identities that a host lists."""

from collections.abc import Iterator
from functools import partial

from proxies.dump import Dump
from proxies.matchers import Peer
from verification.checks import Check
from verification.context import HostContext
from verification.effective.requests import WITHOUT_A_NAME, serving

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
    found = serving(dump, domain)
    if not found:
        yield f"has no filter chain for {domain}"
    for served in found:
        yield from served.problems(domain, list(map(Peer.of, listed)), _STRANGERS, lambda peer: peer.identity in listed)


def _named(listed: list[str]) -> str:
    return ", ".join(listed) or "nobody"
