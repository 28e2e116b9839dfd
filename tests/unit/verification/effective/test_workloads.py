"""Whom the sidecars of a host's workload admit, at any of its ports."""

import pytest

from proxies.dump import Dump
from tests.unit.verification.effective.recorded import FIRST, changed, recorded
from verification.effective.requests import account
from verification.effective.workloads import Wanted, problems

GATEWAY = account("istio-system", "istio-ingressgateway-service-account")
WANTED = Wanted([GATEWAY], FIRST, "GET", "/headers")
PRINCIPAL = '{"authenticated": {"principal_name": {"safe_regex": {"regex": "spiffe://.*/ns/istio-system/sa/istio-ingressgateway-service-account"}}}}'


def test_the_ingress_gateway_alone_is_admitted() -> None:
    assert list(problems(changed("workload"), WANTED)) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (PRINCIPAL, '{"any": true}', "admits a peer without a certificate at port 8080"),
        (
            PRINCIPAL,
            f"{PRINCIPAL}, {PRINCIPAL.replace('istio-ingressgateway-service-account', 'other')}",
            "sa/other at port 8080",
        ),
        (PRINCIPAL, PRINCIPAL.replace("istio-ingressgateway-service-account", "other"), "refuses the ingress gateway"),
        (
            "filters.network.rbac.v3.RBAC",
            "filters.network.other",
            "at further ports",
        ),
        ('"policies"', '"others"', "refuses the ingress gateway at port 8080"),
    ],
)
def test_a_changed_policy_is_noticed(old: str, new: str, expected: str) -> None:
    assert any(expected in each for each in problems(changed("workload", old, new, everywhere=True), WANTED))


def test_the_gateways_trust_domain_may_be_any() -> None:
    exact = '{"authenticated": {"principal_name": {"exact": "spiffe://a.test/ns/istio-system/sa/istio-ingressgateway-service-account"}}}'
    assert list(problems(changed("workload", PRINCIPAL, exact, everywhere=True), WANTED)) == []


def test_a_route_without_policies_is_noticed() -> None:
    override = '"typed_per_filter_config": {"envoy.filters.http.rbac": {}}'
    dump = changed("workload", '"name": "inbound|8080||"', f'"name": "inbound|8080||", {override}')
    assert list(problems(dump, WANTED)) == ["replaces the policies of a route at port 8080"]


def test_the_chain_for_further_connections_is_judged() -> None:
    found = recorded("workload")
    listener = found["listeners"]["configs"][0]["active_state"]["listener"]
    listener["default_filter_chain"] = {"filters": [{"typed_config": {"cluster": "InboundPassthroughCluster"}}]}
    assert "admits a peer without a certificate at further ports" in list(problems(Dump.parse(found), WANTED))


def test_one_port_that_is_open_is_noticed() -> None:
    found = recorded("workload")
    for chain in found["listeners"]["configs"][0]["active_state"]["listener"]["filter_chains"]:
        if chain["filter_chain_match"].get("destination_port") == 8080:
            chain["filters"][0]["typed_config"]["http_filters"].pop(0)
    says = set(problems(Dump.parse(found), WANTED))
    assert {each.rpartition(" at ")[2] for each in says} == {"port 8080"}
