"""A way out through an egress gateway is the only one: a NetworkPolicy closes the others.

A stack claims egress by a VirtualService that takes an external host's requests to a Gateway: one that is bound to
`mesh` and to a Gateway, for a host of a ServiceEntry. It alone keeps no Pod from going past the gateway.
"""

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from mtls_policies.policy import UNKNOWN, Config, Resource, StackPolicy, entries, structure

_DNS_PORT = 53


def _judge(resources: Sequence[Resource], _: Config) -> Iterator[tuple[str, str]]:
    policies = [each for each in resources if each.kind == "networking.k8s.io/NetworkPolicy" and _closes(each)]
    for route in resources:
        namespace = _namespace(route)
        if not _claims_egress(route, resources) or namespace is UNKNOWN:
            continue
        closing = [each for each in policies if (each.provider, _namespace(each)) == (route.provider, namespace)]
        if not closing:
            yield (
                route.urn,
                f"namespace {namespace} lets its Pods go past the egress gateway; it needs a NetworkPolicy for egress "
                "with an empty podSelector",
            )
        for policy in closing:
            for index, rule in enumerate(entries(policy.spec.get("egress"))):
                if _leads_anywhere(structure(rule)):
                    yield policy.urn, f"spec.egress[{index}]: lets Pods of {namespace} go past the egress gateway"


def _claims_egress(route: Resource, resources: Sequence[Resource]) -> bool:
    gateways = entries(route.spec.get("gateways"))
    if route.kind != "networking.istio.io/VirtualService" or "mesh" not in gateways or len(gateways) == 1:
        return False
    external = [
        host
        for entry in resources
        if entry.kind == "networking.istio.io/ServiceEntry" and entry.provider == route.provider
        if entry.spec.get("location", "MESH_EXTERNAL") == "MESH_EXTERNAL"
        for host in _texts(entry.spec.get("hosts"))
    ]
    return any(fnmatchcase(host, name) for host in _texts(route.spec.get("hosts")) for name in external)


def _closes(policy: Resource) -> bool:
    """Tell whether a NetworkPolicy restricts the egress of all Pods of its namespace."""
    types = policy.spec.get("policyTypes") or (["Egress"] if "egress" in policy.spec else [])
    return "Egress" in entries(types) and not any(structure(policy.spec.get("podSelector")).values())


def _leads_anywhere(rule: Mapping[str, Any]) -> bool:
    """Tell whether an egress rule allows every address, and not for DNS alone."""
    to, ports = rule.get("to"), entries(rule.get("ports"))
    blocks = [str(structure(structure(peer).get("ipBlock")).get("cidr", "")) for peer in entries(to)]
    if to and not any(cidr.endswith("/0") for cidr in blocks):
        return False
    return not ports or any(structure(each).get("port") != _DNS_PORT for each in ports)


def _namespace(resource: Resource) -> Any:
    return structure(resource.properties.get("metadata")).get("namespace", "default")


def _texts(value: object) -> list[str]:
    return [each for each in entries(value) if isinstance(each, str)]


POLICY = StackPolicy(
    "egress-network-policy",
    "Where requests are to leave through an egress gateway, a NetworkPolicy lets Pods take no other way.",
    _judge,
)
