"""Namespaces whose egress leads through a gateway, and their network policies."""

from collections.abc import Mapping
from typing import Any

import pytest

from policies.mtls_policies import egress
from policies.mtls_policies.policy import UNKNOWN, Resource
from tests.unit.policies.egress_objects import (
    CLOSED,
    OF_SOME,
    PAST_THE_GATEWAY,
    ROUTE,
    block,
    egress_problems,
    entry,
    in_namespace,
    needs_a_policy,
    network_policy,
    route,
)
from tests.unit.policies.judging import ISTIO, resource, stack_problems


@pytest.mark.parametrize(
    "spec",
    [
        CLOSED,
        {**CLOSED, "egress": []},
        {"policyTypes": ["Ingress", "Egress"]},
        {"podSelector": {"matchLabels": {}}, "egress": CLOSED["egress"]},
    ],
)
def test_claimed_egress_with_its_network_policy_passes(spec: Mapping[str, Any]) -> None:
    assert not egress_problems(network_policy(spec))


@pytest.mark.parametrize(
    "policies",
    [
        [],
        [network_policy(namespace="billing")],
        [network_policy(on="second cluster")],
        [network_policy({**CLOSED, "policyTypes": ["Ingress"]})],
        [network_policy({"podSelector": {}, "ingress": []})],
        [network_policy({"podSelector": {}, "egress": []})],
        [network_policy({**CLOSED, **OF_SOME})],
        [network_policy(kind="NetworkPolicyPatch")],
    ],
)
def test_claimed_egress_without_its_network_policy_is_a_violation(policies: list[Resource]) -> None:
    found = egress_problems(*policies)
    assert needs_a_policy(found)
    assert found[0][0] == "urn::route"


HOLES = {
    "everything": [{}],
    "no peers": [{"to": [], "ports": [{"port": 443}]}],
    "every port": [{"ports": [{"protocol": "UDP"}]}],
    "DNS and more": [{"ports": [{"port": 53}, {"port": 443}]}],
    "range from DNS": [{"ports": [{"port": 53, "endPort": 65535}]}],
    "range from a port not known": [{"ports": [{"port": UNKNOWN, "endPort": 65535}]}],
    "named port": [{"ports": [{"port": "https"}]}],
    "IPv4": [{"to": [block("0.0.0.0/0")]}],
    "IPv6": [{"to": [block("::/0")], "ports": [{"port": 443}]}],
    "exceptions": [{"to": [{"ipBlock": {"cidr": "::/0", "except": ["fd00::/8"]}}]}],
    "halves": [{"to": [block("0.0.0.0/1"), block("128.0.0.0/1")]}],
    "halves of IPv6 in two rules": [{"to": [block("::/1")]}, {"to": [block("8000::/1")]}],
    "beside a peer not known": [{"to": [UNKNOWN, block("0.0.0.0/0")]}],
}


@pytest.mark.parametrize("hole", HOLES.values(), ids=HOLES.keys())
def test_network_policy_with_a_way_past_the_gateway_is_a_violation(hole: list[Mapping[str, Any]]) -> None:
    assert egress_problems(network_policy({**CLOSED, "egress": [*CLOSED["egress"], *hole]})) == [PAST_THE_GATEWAY]


@pytest.mark.parametrize(
    "rules",
    [
        [{"to": [block("0.0.0.0/1"), block("10.0.0.0/8")]}],
        [{"to": [block("0.0.0.0/1"), block("8000::/1")]}],
        [{"to": [block("0.0.0.0/0")], "ports": [{"port": 53, "protocol": "UDP"}]}],
        [{"to": [block("no CIDR")]}],
    ],
    ids=["parts of IPv4", "halves of two versions", "DNS everywhere", "no CIDR"],
)
def test_network_policy_that_allows_some_addresses_passes(rules: list[Mapping[str, Any]]) -> None:
    assert not egress_problems(network_policy({**CLOSED, "egress": rules}))


@pytest.mark.parametrize(
    "other",
    [
        network_policy({**OF_SOME, "egress": [{}]}),
        network_policy({**OF_SOME, "policyTypes": ["Egress"], "egress": [{}]}),
        network_policy({"egress": [{}]}, kind="NetworkPolicyPatch"),
    ],
)
def test_network_policy_that_adds_a_way_past_the_gateway_is_a_violation(other: Resource) -> None:
    assert egress_problems(network_policy({**CLOSED, "egress": []}), other) == [PAST_THE_GATEWAY]


@pytest.mark.parametrize(
    "other",
    [
        network_policy({**OF_SOME, "policyTypes": ["Ingress"], "egress": [{}]}),
        network_policy({**OF_SOME, "egress": [{}]}, namespace="billing"),
        network_policy({**OF_SOME, "egress": [{}]}, on="second cluster"),
    ],
)
def test_network_policy_that_opens_a_different_place_passes(other: Resource) -> None:
    assert not egress_problems(network_policy(), other)


@pytest.mark.parametrize(
    "resources",
    [
        [entry()],
        [route()],
        [route(), entry(location="MESH_INTERNAL")],
        [route(), entry(hosts=["other.example.com"])],
        [route(on="second cluster"), entry()],
        [route({**ROUTE, "gateways": ["mesh"]}), entry()],
        [route({**ROUTE, "gateways": ["ingress"]}), entry()],
        [route({"hosts": ["api.example.com"]}), entry()],
        [
            route({"hosts": ["a.example.com"]}),
            route({"hosts": ["b.example.com"], "gateways": ["egress"]}),
            entry(hosts=["*.example.com"]),
        ],
        [
            in_namespace(f"{ISTIO}:VirtualServicePatch", "patch", {"hosts": ["api.example.com"]}),
            route({**ROUTE, "gateways": ["ingress"]}),
            entry(),
        ],
    ],
)
def test_namespace_without_egress_route_needs_no_network_policy(resources: list[Resource]) -> None:
    assert not stack_problems(egress.POLICY, *resources)


@pytest.mark.parametrize(
    ("host", "external"),
    [
        ("api.example.com", "*.example.com"),
        ("*.example.com", "api.example.com"),
        ("*.example.com", "*.eu.example.com"),
        ("*", "api.example.com"),
    ],
)
def test_wildcard_of_a_route_or_a_service_entry_counts_for_its_hosts(host: str, external: str) -> None:
    resources = [route({**ROUTE, "hosts": [host]}), entry(hosts=[external])]
    assert needs_a_policy(stack_problems(egress.POLICY, *resources))


@pytest.mark.parametrize("gateways", [{"gateways": ["mesh"]}, {"gateways": []}, {}])
def test_routes_to_and_from_the_gateway_claim_egress_together(gateways: Mapping[str, Any]) -> None:
    to_gateway = route({"hosts": ["*.example.com"], **gateways}, "to-gateway")
    from_gateway = route({**ROUTE, "gateways": ["egress"]}, "from-gateway", namespace="istio-system")
    found = stack_problems(egress.POLICY, from_gateway, to_gateway, entry())
    assert needs_a_policy(found)
    assert found[0][0] == "urn::to-gateway"


def test_patches_claim_egress_too() -> None:
    patches = [
        in_namespace(f"{ISTIO}:VirtualServicePatch", "route", ROUTE),
        in_namespace(f"{ISTIO}:ServiceEntryPatch", "entry", {"hosts": ["api.example.com"]}),
    ]
    assert needs_a_policy(stack_problems(egress.POLICY, *patches))


def test_violation_is_reported_once_for_all_routes_of_a_namespace() -> None:
    assert needs_a_policy(egress_problems(route(name="second")))
    assert egress_problems(route(name="second"), network_policy({"egress": [{}]})) == [PAST_THE_GATEWAY]
    on_second = [route(on="second"), resource(f"{ISTIO}:ServiceEntry", "entry", "second", spec=ROUTE)]
    assert len(egress_problems(*on_second)) == 2, "a namespace of a second cluster is reported, too"
