"""The facts of a stack beside its verdicts."""

from dataclasses import replace

from tests.unit.deployed import (
    ACME,
    BILLING,
    CA,
    HTTPBIN,
    KYMA_GATEWAY,
    ORDERS,
    PARTNER,
    TARGET,
    WAREHOUSE,
    demo_stack,
    stack_of,
)
from verification.evidence.certificates import certificates
from verification.evidence.facts import facts
from verification.stack import DeployedStack

END_OF_CA = "2030-01-01T00:00:00Z"


def stack() -> DeployedStack:
    """Return a stack with a partner on either side, and a client that is away."""
    clients = {"warehouse": WAREHOUSE, "billing": {**BILLING, "away": True}, "acme": ACME}
    hosts = {
        "httpbin": {**HTTPBIN, "clients": ["warehouse", "billing", "acme"]},
        "orders": {**ORDERS, "clients": ["acme"]},
        "api": {**PARTNER, "clients": ["warehouse"]},
    }
    return stack_of(target=TARGET, clients=clients, hosts=hosts)


def test_facts_have_each_way_of_a_client_to_a_host_that_admits_it() -> None:
    assert [(way["client"], way["host"]) for way in facts(stack())["ways"]] == [
        ("warehouse", "httpbin"),
        ("billing", "httpbin"),
        ("acme", "httpbin"),
        ("acme", "orders"),
        ("warehouse", "api"),
    ]


def test_facts_say_who_is_a_partner_and_which_gateway_is_on_the_way() -> None:
    found = facts(stack())
    assert found["stack"] == "test"
    assert found["hosts"] == {
        "httpbin": {"domain": HTTPBIN["domain"], "partner": False, "gateway": "istio-system/istio-ingressgateway"},
        "orders": {"domain": ORDERS["domain"], "partner": False, "gateway": "istio-system/istio-ingressgateway"},
        "api": {"domain": PARTNER["domain"], "partner": True, "gateway": None},
    }
    assert found["clients"]["warehouse"] == {
        "identity": "spiffe://kyma-mtls/test/client/warehouse",
        "partner": False,
        "away": False,
        "gateway": "istio-system/istio-egressgateway",
        "callers": ["mtls/curl"],
    }
    assert found["clients"]["billing"]["away"]
    partner = found["clients"]["acme"]
    assert (partner["partner"], partner["gateway"], partner["callers"]) == (True, None, [])


def test_certificates_are_in_the_order_of_their_ends() -> None:
    found = certificates(stack())
    assert [each["ends"] for each in found] == sorted(each["ends"] for each in found)
    paths = {each["path"] for each in found}
    assert {"generation", "clients.warehouse", "clients.acme.certificateAuthority"} <= paths
    assert "hosts.api.external.certificateAuthority" in paths
    assert all(each["ends"].endswith("Z") and each["of"] for each in found)


def test_each_trusted_ca_has_its_end() -> None:
    deployed = demo_stack()
    outputs = deployed.outputs.model_copy(update={"ca_certificate": CA + CA})
    paths = [each["path"] for each in certificates(replace(deployed, outputs=outputs))]
    assert (paths.count("generation"), paths.count("trustedGenerations")) == (1, 1)
    assert "trustedGenerations" not in [each["path"] for each in certificates(deployed)]


def test_certificates_of_the_kyma_gateway_are_those_of_its_output_and_the_state() -> None:
    deployed = stack_of(KYMA_GATEWAY, target=TARGET, clients={"warehouse": WAREHOUSE}, hosts={"httpbin": HTTPBIN})
    signed = replace(deployed.state, gateway_certificates=(("gateway.g1", END_OF_CA),))
    found = {each["path"]: each["ends"] for each in certificates(replace(deployed, state=signed))}
    assert "gatewayMode" in found
    assert found["gateway.g1"] == END_OF_CA
    assert not {"gatewayMode", "gateway.g1"} & {each["path"] for each in certificates(demo_stack())}
