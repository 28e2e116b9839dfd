"""Addresses that the blocks of NetworkPolicies cover, of both versions of IP."""

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_network
from typing import Any

Span = tuple[int, int, int]
"""The version of IP, the first and the last address."""

# https://www.iana.org/assignments/iana-ipv4-special-registry: the larger networks that no public address is in
_NOT_PUBLIC = (
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "224.0.0.0/3",
)
_PUBLIC_OF_6 = "2000::/3"  # https://www.iana.org/assignments/ipv6-address-space


def covered(block: Mapping[str, Any]) -> Iterator[Span]:
    """Yield what an ipBlock covers without its exceptions; raise ValueError if it has an invalid CIDR."""
    return without([_span(block["cidr"])], [_span(each) for each in block.get("except") or ()])


def without(spans: Iterable[Span], removed: Iterable[Span]) -> Iterator[Span]:
    """Yield what is left of spans without others."""
    left = list(spans)
    for each in removed:
        left = [part for span in left for part in _parts(span, each)]
    yield from left


def public_shares(spans: Iterable[Span]) -> dict[int, float]:
    """Return the share of all public addresses that spans cover together, from 0 to 1, for each version of IP."""
    united = list(_united(spans))
    return {
        version: sum(_size(part) for part in _common(united, public)) / sum(map(_size, public))
        for version, public in _PUBLIC.items()
    }


def _span(cidr: str) -> Span:
    network = ip_network(cidr, strict=False)
    return network.version, int(network.network_address), int(network.broadcast_address)


def _parts(span: Span, removed: Span) -> Iterator[Span]:
    """Yield what is left of a span without another one."""
    version, first, last = span
    if removed[0] != version or removed[2] < first or removed[1] > last:
        yield span
        return
    if first < removed[1]:
        yield version, first, removed[1] - 1
    if last > removed[2]:
        yield version, removed[2] + 1, last


def _united(spans: Iterable[Span]) -> Iterator[Span]:
    """Yield spans that do not overlap."""
    current: Span | None = None
    for span in sorted(spans):
        if current and span[0] == current[0] and span[1] <= current[2]:
            current = (*current[:2], max(span[2], current[2]))
            continue
        if current:
            yield current
        current = span
    if current:
        yield current


def _common(spans: Iterable[Span], others: Iterable[Span]) -> Iterator[Span]:
    """Yield the addresses of spans that are in others, too."""
    others = list(others)
    for version, first, last in spans:
        for each in others:
            if each[0] == version and each[1] <= last and each[2] >= first:
                yield version, max(first, each[1]), min(last, each[2])


def _size(span: Span) -> int:
    return span[2] - span[1] + 1


_PUBLIC = {4: list(without([_span("0.0.0.0/0")], map(_span, _NOT_PUBLIC))), 6: [_span(_PUBLIC_OF_6)]}
