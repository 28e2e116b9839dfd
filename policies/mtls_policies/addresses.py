"""Addresses that the blocks of NetworkPolicies cover, of both versions of IP."""

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network
from typing import Any

Network = IPv4Network | IPv6Network

_IPV4, _IPV6 = IPv4Network("0.0.0.0/0"), IPv6Network("2000::/3")
"""Where all public addresses are: https://www.iana.org/assignments/ipv6-address-space"""
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


def covered(block: Mapping[str, Any]) -> Iterator[Network]:
    """Yield what an ipBlock covers without its exceptions; raise ValueError if it has an invalid CIDR."""
    return _without(ip_network(block["cidr"], strict=False), block.get("except") or ())


def public_shares(networks: Iterable[Network]) -> dict[int, float]:
    """Return the share of all public addresses that networks cover together, from 0 to 1, for each version of IP."""
    known = list(networks)
    united: list[Network] = [
        *collapse_addresses(each for each in known if isinstance(each, IPv4Network)),
        *collapse_addresses(each for each in known if isinstance(each, IPv6Network)),
    ]
    return {version: _common(united, public) / _common(public, public) for version, public in _PUBLIC.items()}


def _without(network: Network, excepted: Iterable[str]) -> Iterator[Network]:
    left = [network]
    for cidr in excepted:
        left = [part for each in left for part in _parts(each, ip_network(cidr, strict=False))]
    yield from left


def _parts(network: Any, excepted: Any) -> list[Network]:
    """Return what is left of a network without another one, which is within it, around it, or elsewhere."""
    if not network.overlaps(excepted):
        return [network]
    return list(network.address_exclude(excepted)) if excepted.subnet_of(network) else []


def _common(networks: Iterable[Any], others: Iterable[Any]) -> int:
    """Return the number of addresses that are in both lists; networks of one list do not overlap."""
    others = list(others)
    return sum(
        min(each.num_addresses, other.num_addresses)
        for each in networks
        for other in others
        if each.version == other.version and each.overlaps(other)
    )


_PUBLIC: dict[int, list[Network]] = {4: list(_without(_IPV4, _NOT_PUBLIC)), 6: [_IPV6]}
