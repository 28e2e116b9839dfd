"""NetworkPolicies that close every way out of a namespace but its egress gateway.

A stack routes egress through a gateway by VirtualServices for an external host of a ServiceEntry: one is bound to
`mesh`, and the same or a second one to a Gateway. Routes alone do not stop a Pod that connects past the gateway.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from itertools import chain, product
from typing import Any

from .addresses import Network, covered, public_shares
from .policy import UNKNOWN, Config, Resource, StackPolicy, entries, structure

_DNS_PORT = 53
_LARGEST_SHARE = 0.01
"""Of the public addresses: the networks of partners are below it, lists that stand for the internet above it."""


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
            if _namespace(policy) == namespace and "Egress" in _types(policy):
                for rules, where in _openings(policy):
                    yield policy.urn, f"{rules} Pods of {namespace} connect past the egress gateway, to {where}"


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


def _openings(policy: Resource) -> Iterator[tuple[str, str]]:
    """Yield the egress rules of a NetworkPolicy that lead to the internet for more than DNS, and where they lead."""
    public: dict[str, list[Network]] = {}
    is_open = False
    for number, rule in enumerate(entries(policy.spec.get("egress"))):
        if rule is UNKNOWN or _is_of_dns(rule):
            continue
        path, peers = f"spec.egress[{number}]", structure(rule).get("to")
        networks = list(_networks(peers))
        if where := _large(networks) if peers else "every address":
            is_open = True
            yield f"{path}: lets", where
        elif any(public_shares(networks).values()):
            public[path] = networks
    if not is_open and (where := _large(chain.from_iterable(public.values()))):
        yield f"{', '.join(public)}: together let", where


def _large(networks: Iterable[Network]) -> str:
    """Return the shares of the public addresses that networks cover, if large; else an empty text."""
    shares = public_shares(networks).items()
    return " and ".join(
        f"{share:.0%} of the public IPv{each} addresses" for each, share in shares if share > _LARGEST_SHARE
    )


def _networks(peers: object) -> Iterator[Network]:
    """Yield the addresses of peers that are blocks, as far as they are known."""
    for peer in entries(peers):
        block = structure(structure(peer).get("ipBlock"))
        cidrs = [block.get("cidr"), *entries(block.get("except") or [])]
        if block.get("except") is not UNKNOWN and all(isinstance(each, str) for each in cidrs):
            with suppress(ValueError):  # the API server refuses an invalid CIDR
                yield from covered(block)


def _is_of_dns(rule: Any) -> bool:
    """Return whether the ports of a rule, as far as they are known, are those of DNS; without ports, a rule has all."""
    ports = structure(rule).get("ports")
    return bool(ports) and all(each is UNKNOWN or _is_dns(structure(each)) for each in entries(ports))


def _is_dns(port: Mapping[str, Any]) -> bool:
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
