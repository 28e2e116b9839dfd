"""NetworkPolicies that close every way out of a namespace but its egress gateway.

A stack routes egress through a gateway by VirtualServices for an external host of a ServiceEntry: one is bound to
`mesh`, and the same or a second one to a Gateway. Routes alone do not stop a Pod that connects past the gateway.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network
from itertools import product
from typing import Any

from .policy import UNKNOWN, Config, Resource, StackPolicy, entries, structure

_DNS_PORT = 53
_EVERYWHERE = ("0.0.0.0/0", "::/0")


def _judge(resources: Sequence[Resource], _: Config) -> Iterator[tuple[str, str]]:
    for provider in dict.fromkeys(each.provider for each in resources):
        yield from _judge_cluster([each for each in resources if each.provider == provider])


def _judge_cluster(resources: Sequence[Resource]) -> Iterator[tuple[str, str]]:
    policies = [each for each in resources if each.kind == "networking.k8s.io/NetworkPolicy"]
    for namespace, route in _claims(resources).items():
        if not any(_closes(each) for each in policies if _namespace(each) in (namespace, UNKNOWN)):
            yield (
                route.urn,
                f"namespace {namespace} lets its Pods connect past the egress gateway; add a NetworkPolicy for egress "
                "with an empty podSelector",
            )
        for policy in policies:  # for any Pods: the rules of all policies add up
            if _namespace(policy) == namespace and "Egress" in _types(policy) and _lead_anywhere(_rules(policy)):
                yield policy.urn, f"spec.egress: lets Pods of {namespace} connect past the egress gateway"


def _claims(resources: Sequence[Resource]) -> dict[str, Resource]:
    """Return each namespace that routes external hosts through an egress gateway, with one of these routes."""
    routes = [each for each in resources if each.kind == "networking.istio.io/VirtualService"]
    entered = [each for each in resources if each.kind == "networking.istio.io/ServiceEntry"]
    external = [each for each in entered if each.spec.get("location", "MESH_EXTERNAL") == "MESH_EXTERNAL"]
    at_gateways = [each for each in routes if any(name != "mesh" for name in _gateways(each))]
    leaving = _common(_hosts(external), _hosts(at_gateways))
    return {
        _namespace(each): each
        for each in routes
        if "mesh" in _gateways(each) and _namespace(each) is not UNKNOWN and _common(_hosts([each]), leaving)
    }


def _gateways(route: Resource) -> list[str]:
    unsaid = [] if route.is_patch else ["mesh"]
    return _texts(route.spec.get("gateways") or unsaid)


def _hosts(resources: Iterable[Resource]) -> list[str]:
    return [host for each in resources for host in _texts(each.spec.get("hosts"))]


def _common(first: Iterable[str], second: Iterable[str]) -> set[str]:
    """Return the hosts of each list that a host or a wildcard of the other list covers."""
    pairs = [*product(first, second), *product(second, first)]
    return {host for host, pattern in pairs if fnmatchcase(host, pattern)}


def _closes(policy: Resource) -> bool:
    """Return whether a NetworkPolicy restricts the egress of all Pods of its namespace, or may once it is known."""
    if policy.is_patch:
        return False  # the rest of the policy is not in the stack
    if policy.properties.get("spec") is UNKNOWN:
        return True
    selects_all = all(each is UNKNOWN or not each for each in structure(policy.spec.get("podSelector")).values())
    return selects_all and any(each in ("Egress", UNKNOWN) for each in _types(policy))


def _types(policy: Resource) -> Sequence[Any]:
    """Return the types of a NetworkPolicy; without policyTypes, Egress if it has egress rules."""
    types = policy.spec.get("policyTypes") or (["Egress"] if policy.spec.get("egress") else [])
    return [UNKNOWN] if types is UNKNOWN else entries(types)


def _rules(policy: Resource) -> list[Mapping[str, Any]]:
    return [structure(each) for each in entries(policy.spec.get("egress")) if each is not UNKNOWN]


def _lead_anywhere(rules: Iterable[Mapping[str, Any]]) -> bool:
    """Return whether egress rules together allow every address, for more than DNS."""
    beyond_dns = [rule for rule in rules if not _are_of_dns(rule.get("ports"))]
    if not all(rule.get("to") for rule in beyond_dns):
        return True
    blocks = [structure(structure(peer).get("ipBlock")) for rule in beyond_dns for peer in entries(rule["to"])]
    networks = list(_networks(_texts([block.get("cidr") for block in blocks])))
    of_4 = collapse_addresses(each for each in networks if isinstance(each, IPv4Network))
    of_6 = collapse_addresses(each for each in networks if isinstance(each, IPv6Network))
    return any(str(each) in _EVERYWHERE for each in (*of_4, *of_6))


def _networks(cidrs: Iterable[str]) -> Iterator[IPv4Network | IPv6Network]:
    for cidr in cidrs:
        with suppress(ValueError):  # the API server refuses an invalid CIDR
            yield ip_network(cidr, strict=False)


def _are_of_dns(ports: object) -> bool:
    """Return whether ports, as far as they are known, are those of DNS; a rule without ports allows all."""
    return bool(ports) and all(each is UNKNOWN or _is_of_dns(structure(each)) for each in entries(ports))


def _is_of_dns(port: Mapping[str, Any]) -> bool:
    return port.get("port") in (_DNS_PORT, UNKNOWN) and port.get("endPort") in (None, _DNS_PORT, UNKNOWN)


def _namespace(resource: Resource) -> Any:
    metadata = resource.properties.get("metadata")
    return UNKNOWN if metadata is UNKNOWN else structure(metadata).get("namespace", "default")


def _texts(value: object) -> list[str]:
    return [each for each in entries(value) if isinstance(each, str)]


POLICY = StackPolicy(
    "egress-network-policy",
    "A namespace that routes requests through an egress gateway has a NetworkPolicy that closes every other way out.",
    _judge,
)
