"""Egress that a preview does not know yet."""

import pytest

from policies.mtls_policies import egress
from policies.mtls_policies.policy import UNKNOWN, Resource
from tests.unit.policies.egress_objects import (
    CLOSED,
    ROUTE,
    block,
    egress_problems,
    entry,
    needs_a_policy,
    network_policy,
    route,
)
from tests.unit.policies.judging import stack_problems

UNKNOWN_POLICIES = {
    "spec": network_policy(UNKNOWN),
    "types": network_policy({"podSelector": {}, "policyTypes": UNKNOWN}),
    "a type": network_policy({"podSelector": {}, "policyTypes": ["Ingress", UNKNOWN]}),
    "rules that make the type": network_policy({"podSelector": {}, "egress": UNKNOWN}),
    "selector": network_policy({**CLOSED, "podSelector": UNKNOWN}),
    "labels of the selector": network_policy({**CLOSED, "podSelector": {"matchLabels": UNKNOWN}}),
    "namespace": network_policy(namespace=UNKNOWN),
    "metadata": network_policy(metadata=UNKNOWN),
    "rules": network_policy({**CLOSED, "egress": UNKNOWN}),
    "a rule": network_policy({**CLOSED, "egress": [UNKNOWN]}),
    "peers": network_policy({**CLOSED, "egress": [{"to": UNKNOWN}]}),
    "a peer": network_policy({**CLOSED, "egress": [{"to": [UNKNOWN]}]}),
    "block": network_policy({**CLOSED, "egress": [{"to": [{"ipBlock": UNKNOWN}, block(UNKNOWN)]}]}),
    "exceptions": network_policy({**CLOSED, "egress": [{"to": [{"ipBlock": {"cidr": "::/0", "except": UNKNOWN}}]}]}),
    "an exception": network_policy({**CLOSED, "egress": [{"to": [block("0.0.0.0/0", UNKNOWN)]}]}),
    "ports": network_policy({**CLOSED, "egress": [{"ports": UNKNOWN}]}),
    "a port": network_policy({**CLOSED, "egress": [{"ports": [UNKNOWN]}]}),
    "number of a port": network_policy({**CLOSED, "egress": [{"ports": [{"port": UNKNOWN}]}]}),
    "end of the range": network_policy({**CLOSED, "egress": [{"ports": [{"port": 53, "endPort": UNKNOWN}]}]}),
    "where a hole is": network_policy({**CLOSED, "egress": [{}]}, namespace=UNKNOWN),
    "whether a hole counts": network_policy({"policyTypes": UNKNOWN, "egress": [{}]}),
}


@pytest.mark.parametrize("policy", UNKNOWN_POLICIES.values(), ids=UNKNOWN_POLICIES.keys())
def test_network_policy_with_unknown_values_passes(policy: Resource) -> None:
    assert not egress_problems(policy)


@pytest.mark.parametrize(
    "policy",
    [
        network_policy(UNKNOWN, namespace="billing"),
        network_policy(UNKNOWN, on="second cluster"),
        network_policy({"podSelector": UNKNOWN, "policyTypes": ["Ingress"]}),
        network_policy({"podSelector": {"matchLabels": {"app": UNKNOWN}}, "policyTypes": UNKNOWN}),
    ],
)
def test_network_policy_that_will_not_close_the_namespace_does_not_count(policy: Resource) -> None:
    assert needs_a_policy(egress_problems(policy))


@pytest.mark.parametrize(
    "resources",
    [
        [route(namespace=UNKNOWN), entry()],
        [route(metadata=UNKNOWN), entry()],
        [route(UNKNOWN), entry()],
        [route({**ROUTE, "hosts": UNKNOWN}), entry()],
        [route({**ROUTE, "hosts": [UNKNOWN]}), entry()],
        [route({**ROUTE, "gateways": UNKNOWN}), entry()],
        [route({**ROUTE, "gateways": ["egress", UNKNOWN]}), entry()],
        [route({**ROUTE, "gateways": ["mesh", UNKNOWN]}), entry()],
        [route(), entry(hosts=UNKNOWN)],
        [route(), entry(location=UNKNOWN)],
    ],
)
def test_unknown_values_claim_no_egress(resources: list[Resource]) -> None:
    assert not stack_problems(egress.POLICY, *resources)
