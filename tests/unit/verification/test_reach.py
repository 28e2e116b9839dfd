"""What rules of NetworkPolicies admit beyond the stack's."""

from typing import Any

import pytest

from verification.reach import beyond, closes, egress_of

DNS = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}
KUBE_DNS = {"podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}}
OWN: dict[str, Any] = {"podSelector": {}}
ALLOWED: list[dict[str, Any]] = [
    {"to": [{"ipBlock": {"cidr": "10.1.0.0/16"}}], "ports": [{"port": 443, "protocol": "TCP"}]},
    {
        "to": [{**DNS, **KUBE_DNS}],
        "ports": [{"port": 53, "protocol": "UDP"}],
    },
    {"to": [OWN]},
]


def among(*names: str) -> dict[str, Any]:
    """Return a peer in namespaces of these names, as users may write it."""
    name = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": list(names)}
    return {"namespaceSelector": {"matchExpressions": [name]}}


def block(cidr: str, *excepted: str) -> dict[str, Any]:
    return {"ipBlock": {"cidr": cidr, **({"except": list(excepted)} if excepted else {})}}


def at(port: int | str, protocol: str = "TCP", **more: int) -> dict[str, Any]:
    return {"port": port, "protocol": protocol, **more}


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({}, ["0.0.0.0/0", "::/0", "Pods of every namespace"]),
        ({"ports": [at(443)]}, ["0.0.0.0/0 at TCP 443", "::/0 at TCP 443", "Pods of every namespace at TCP 443"]),
        ({"to": [block("0.0.0.0/1"), block("128.0.0.0/1")]}, ["0.0.0.0/1", "128.0.0.0/1"]),
        ({"to": [block("10.1.2.0/24")], "ports": [at(443)]}, []),
        ({"to": [block("10.1.2.0/24")]}, ["10.1.2.0/24"]),
        ({"to": [block("10.1.2.0/24")], "ports": [at(443, "UDP")]}, ["10.1.2.0/24 at UDP 443"]),
        ({"to": [block("10.1.2.0/24")], "ports": [at(443, endPort=444)]}, ["10.1.2.0/24 at TCP 443 to 444"]),
        ({"to": [block("10.0.0.0/15")], "ports": [at(443)]}, ["10.0.0.0/15 at TCP 443"]),
        ({"to": [block("10.0.0.0/15", "10.0.0.0/16")], "ports": [at(443)]}, []),
        ({"to": [block("2001:db8::/32")], "ports": [at(443)]}, ["2001:db8::/32 at TCP 443"]),
        ({"to": [OWN]}, []),
        ({"to": [{"podSelector": {"matchLabels": {"app": "db"}}}], "ports": [at(5432)]}, []),
        ({"to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "shop"}}}]}, []),
        ({"to": [{"namespaceSelector": {}}]}, ["Pods of every namespace"]),
        ({"to": [DNS], "ports": [at(53, "UDP")]}, ["Pods of namespace kube-system at UDP 53"]),
        (
            {
                "to": [{**DNS, "podSelector": {"matchLabels": {"k8s-app": "kube-dns", "a": "b"}}}],
                "ports": [at(53, "UDP")],
            },
            [],
        ),
        ({"to": [{**among("kube-system"), **KUBE_DNS}], "ports": [at(53, "UDP")]}, []),
        ({"to": [among("kube-system")]}, ["Pods of namespace kube-system"]),
        (
            {"to": [{**among("kube-system", "shop"), **KUBE_DNS}], "ports": [at(53, "UDP")]},
            ["Pods with k8s-app=kube-dns of namespaces with kubernetes.io/metadata.name In at UDP 53"],
        ),
        (
            {"to": [{"namespaceSelector": {"matchExpressions": [{"key": "team", "operator": "Exists"}]}}]},
            ["Pods of namespaces with team Exists"],
        ),
        (
            {"to": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "proxy"}}}]},
            ["Pods with app=proxy of every namespace"],
        ),
    ],
)
def test_rule_admits_no_more_than_the_allowed_ones(rule: dict[str, Any], expected: list[str]) -> None:
    assert list(beyond(rule, ALLOWED, "shop")) == expected


@pytest.mark.parametrize(
    ("allowed", "port", "is_within"),
    [
        ([], at(80), True),
        ([at(80)], None, False),
        ([at(80, endPort=90)], at(85), True),
        ([at(80, endPort=90)], at(85, endPort=91), False),
        ([{"protocol": "TCP"}], at(85), True),
        ([{"protocol": "TCP"}], {"protocol": "TCP"}, True),
        ([at(80)], {"protocol": "TCP"}, False),
        ([at("dns")], at("dns"), True),
        ([at("dns")], at(53), False),
        ([at(53)], at("dns"), False),
    ],
)
def test_port_must_be_a_part_of_an_allowed_one(
    allowed: list[Any], port: dict[str, Any] | None, is_within: bool
) -> None:
    to = {"to": [block("10.0.0.0/8")]}
    rule = {**to, "ports": [port]} if port else to
    stacks: dict[str, Any] = {**to, "ports": allowed}
    assert (not list(beyond(rule, [stacks], "shop"))) == is_within


def test_allowed_rules_are_summed() -> None:
    halves: list[dict[str, Any]] = [{"to": [block("10.0.0.0/9")]}, {"to": [block("10.128.0.0/9")]}]
    assert not list(beyond({"to": [block("10.0.0.0/8")]}, halves, "shop"))
    assert list(beyond({"to": [block("10.0.0.0/7")]}, halves, "shop")) == ["10.0.0.0/7"]
    assert not list(beyond({}, [{}], "shop")), "all is allowed"


@pytest.mark.parametrize(
    ("spec", "is_closing", "rules"),
    [
        ({"podSelector": {}, "policyTypes": ["Egress"], "egress": [{}]}, True, 1),
        ({"podSelector": {}, "policyTypes": ["Egress"]}, True, 0),
        ({"podSelector": {}, "egress": [{}]}, True, 1),
        ({"podSelector": {}, "policyTypes": ["Ingress"], "egress": [{}]}, False, 0),
        ({"podSelector": {"matchLabels": {"a": "b"}}, "policyTypes": ["Egress"], "egress": [{}]}, False, 1),
        ({}, False, 0),
    ],
)
def test_policy_closes_if_it_is_about_egress_of_all_pods(spec: dict[str, Any], is_closing: bool, rules: int) -> None:
    assert closes({"spec": spec}) == is_closing
    assert len(egress_of({"spec": spec})) == rules
