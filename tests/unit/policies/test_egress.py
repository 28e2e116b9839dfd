"""Namespaces whose egress leads through a gateway, and their network policies."""

from collections.abc import Mapping
from typing import Any

import pytest

from policies.mtls_policies import egress
from policies.mtls_policies.policy import UNKNOWN, Resource
from tests.unit.policies.egress_objects import (
    CLOSED,
    EVERYWHERE,
    OF_SOME,
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


OF_4, OF_6 = "of the public IPv4 addresses", "of the public IPv6 addresses"
HOLES: Mapping[str, tuple[list[Mapping[str, Any]], str]] = {
    "everything": ([{}], "[3]: lets … to every address"),
    "no peers": ([{"to": [], "ports": [{"port": 443}]}], "[3]: lets … to every address"),
    "every port": ([{"ports": [{"protocol": "UDP"}]}], "[3]: lets … to every address"),
    "DNS and more": ([{"ports": [{"port": 53}, {"port": 443}]}], "[3]: lets … to every address"),
    "range from DNS": ([{"ports": [{"port": 53, "endPort": 65535}]}], "[3]: lets … to every address"),
    "range from a port not known": ([{"ports": [{"port": UNKNOWN, "endPort": 65535}]}], "[3]: lets … to every address"),
    "named port": ([{"ports": [{"port": "https"}]}], "[3]: lets … to every address"),
    "IPv4": ([{"to": [block("0.0.0.0/0")]}], f"[3]: lets … to 100% {OF_4}"),
    "IPv6": ([{"to": [block("::/0")], "ports": [{"port": 443}]}], f"[3]: lets … to 100% {OF_6}"),
    "both": ([{"to": [block("0.0.0.0/0"), block("::/0")]}], f"[3]: lets … to 100% {OF_4} and 100% {OF_6}"),
    "all but private addresses": ([{"to": [block("::/0", "fd00::/8")]}], f"[3]: lets … to 100% {OF_6}"),
    "all but some": ([{"to": [block("0.0.0.0/0", "0.0.0.0/1", "192.0.0.0/2")]}], f"[3]: lets … to 29% {OF_4}"),
    "halves": ([{"to": [block("0.0.0.0/1"), block("128.0.0.0/1")]}], f"[3]: lets … to 100% {OF_4}"),
    "public blocks": ([{"to": [block("2000::/4"), block("3000::/4")]}], f"[3]: lets … to 100% {OF_6}"),
    "one of four quarters": (
        [{"to": [block("64.0.0.0/2")]}, {"to": [block("10.0.0.0/8")]}],
        f"[3]: lets … to 28% {OF_4}",
    ),
    "a large network": ([{"to": [block("16.0.0.0/6")]}], f"[3]: lets … to 2% {OF_4}"),
    "small parts in rules": (
        [
            {"to": [block("16.0.0.0/8")]},
            {"to": [block("192.168.0.0/16")]},
            {"to": [block("17.0.0.0/8"), block("17.1.0.0/16"), block("18.0.0.0/8")], "ports": [{"port": 443}]},
        ],
        f"[3], spec.egress[5]: together let … to 1% {OF_4}",
    ),
    "beside a peer not known": ([{"to": [UNKNOWN, block("0.0.0.0/0")]}], f"[3]: lets … to 100% {OF_4}"),
}


@pytest.mark.parametrize(("hole", "said"), HOLES.values(), ids=HOLES.keys())
def test_network_policy_with_a_way_past_the_gateway_is_a_violation(hole: list[Mapping[str, Any]], said: str) -> None:
    found = egress_problems(network_policy({**CLOSED, "egress": [*CLOSED["egress"], *hole]}))
    expected = said.replace("…", "Pods of shop connect past the egress gateway,")
    assert found == [("urn::policy", f"spec.egress{expected}")]


def test_each_rule_that_opens_a_namespace_is_named() -> None:
    rules = [{"to": [block("0.0.0.0/1")]}, {"to": [block("16.0.0.0/8")]}, {}]
    found = [problem for _, problem in egress_problems(network_policy({**CLOSED, "egress": rules}))]
    assert [problem.partition(":")[0] for problem in found] == ["spec.egress[0]", "spec.egress[2]"]


@pytest.mark.parametrize(
    "peers",
    [
        [block("10.0.0.0/8"), block("172.16.0.0/12"), block("192.168.0.0/16"), block("100.64.0.0/10")],
        [block("fc00::/7"), block("fe80::/10")],
        [block("16.0.0.0/8"), block("2a00::/12")],
        [block("0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1")],
        [block("8.0.0.0/5", "8.0.0.0/7", "11.0.0.0/8", "12.0.0.0/6"), block("10.1.0.0/16")],
        [block("no CIDR"), block("0.0.0.0/0", "no CIDR")],
    ],
    ids=["private IPv4", "private IPv6", "a partner's networks", "nothing", "what exceptions leave", "no CIDR"],
)
def test_network_policy_that_allows_some_addresses_passes(peers: list[Mapping[str, Any]]) -> None:
    assert not egress_problems(network_policy({**CLOSED, "egress": [{"to": peers}]}))


def test_network_policy_that_allows_dns_everywhere_passes() -> None:
    rule = {"to": [block("0.0.0.0/0")], "ports": [{"port": 53, "protocol": "UDP"}]}
    assert not egress_problems(network_policy({**CLOSED, "egress": [rule]}))


@pytest.mark.parametrize(
    "other",
    [
        network_policy({**OF_SOME, "egress": [{}]}),
        network_policy({**OF_SOME, "policyTypes": ["Egress"], "egress": [{}]}),
        network_policy({"egress": [{}]}, kind="NetworkPolicyPatch"),
    ],
)
def test_network_policy_that_adds_a_way_past_the_gateway_is_a_violation(other: Resource) -> None:
    assert egress_problems(network_policy({**CLOSED, "egress": []}), other) == [EVERYWHERE]


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
    assert egress_problems(route(name="second"), network_policy({"egress": [{}]})) == [EVERYWHERE]
    on_second = [route(on="second"), resource(f"{ISTIO}:ServiceEntry", "entry", "second", spec=ROUTE)]
    assert len(egress_problems(*on_second)) == 2, "a namespace of a second cluster is reported, too"
