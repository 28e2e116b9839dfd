"""Client sites: NetworkPolicies, callers, routes and credentials."""

import pytest

from tests.unit.deployment.program import CALLER, EXTERNAL, ORDERS, SIGNED, TARGET, Stack


@pytest.mark.parametrize(
    ("policy", "namespaces"), [("own", {"mtls"}), ("callers", {"mtls", "logistics", "invoices"}), ("none", set())]
)
def test_network_policies_are_made_in_the_namespaces_that_the_config_says(
    stack: Stack, policy: str, namespaces: set[str]
) -> None:
    callers = ["logistics/dispatcher", "logistics/tracker", "invoices"]
    client = {**CALLER, "callers": callers, "networkPolicy": policy}
    made = stack(target=TARGET, clients={"caller": client}, hosts={"orders": ORDERS}).objects()
    assert {o["metadata"]["namespace"] for o in made if o["kind"] == "NetworkPolicy"} == namespaces


def test_allowed_destinations_are_those_of_the_callers_namespaces(stack: Stack) -> None:
    client = {**CALLER, "callers": ["logistics"], "networkPolicy": "callers", "allowedDestinations": ["data:5432"]}
    made = stack(target=TARGET, clients={"caller": client}, hosts={"orders": ORDERS})
    data = [{"port": 5432, "protocol": "TCP"}]
    rules = {
        name: made.one("NetworkPolicy", f"client-caller-{name}")["spec"]["egress"]
        for name in ("network-policy", "network-policy-logistics")
    }
    assert [data in [rule.get("ports") for rule in each] for each in rules.values()] == [False, True]


def test_callers_in_the_stacks_own_namespace_are_named_once(stack: Stack) -> None:
    client = {**CALLER, "callers": ["mtls/own", "logistics"]}
    made = stack(target=TARGET, clients={"caller": client}, hosts={"orders": ORDERS}).objects()
    entries = {o["metadata"]["name"]: o["spec"] for o in made if o["kind"] == "ServiceEntry"}
    assert entries["orders"]["exportTo"] == [".", "logistics"], "Istio refuses what . names already"


def test_client_that_a_host_does_not_admit_is_refused_by_its_callers_sidecars(stack: Stack) -> None:
    hosts = {"orders": {**ORDERS, "clients": []}, "api": {"domain": "api.partner.example", "external": EXTERNAL}}
    made = stack(target=TARGET, clients={"caller": CALLER}, hosts=hosts)
    answers = {host: made.one("VirtualService", f"client-caller.{host}-route")["spec"]["http"] for host in hosts}
    assert [rule["directResponse"]["status"] for (rule,) in answers.values()] == [403, 503]
    assert (
        answers["orders"][0]["directResponse"]["body"]["string"] == f"{ORDERS['domain']} does not admit client caller\n"
    )
    assert not {"DestinationRule"} & made.kinds()


def test_partners_host_is_called_at_its_port_with_its_own_credential(stack: Stack) -> None:
    external = {**EXTERNAL, "port": 8443, "credentials": SIGNED}
    made = stack(clients={"billing": CALLER}, hosts={"api": {"domain": "api.partner.example", "external": external}})
    rule = made.marked_one("DestinationRule", "client-billing.api-originate-mtls")["spec"]
    (port,) = rule["trafficPolicy"]["portLevelSettings"]
    assert port["port"] == {"number": 8443}
    secrets = [o["metadata"]["name"] for o in made.objects() if o["kind"] == "Secret"]
    assert port["tls"]["credentialName"] in secrets
    assert port["tls"]["credentialName"].startswith("client-credential-mtls-api.")
    assert made.result["signingRequests"] == {}


@pytest.mark.parametrize("passthrough", [True, False])
def test_passthrough_of_the_config_reaches_the_policies_of_both_gateways(stack: Stack, passthrough: bool) -> None:
    key = {"gatewayPassthrough": passthrough}
    made = stack(target=TARGET | key, clients={"caller": CALLER | key}, hosts={"orders": ORDERS})
    for name in ("target-orders-admission", "client-caller.orders-callers"):
        (source,) = made.policy(name)["spec"]["rules"][0]["from"]
        assert ("principals" in source["source"]) == passthrough, name


@pytest.mark.parametrize(
    ("clients", "known"), [([["billing"], []], "api"), ([[], ["billing"]], "more"), ([[], []], "api")]
)
def test_sidecars_know_one_host_of_several_with_one_domain(stack: Stack, clients: list[list[str]], known: str) -> None:
    """Of two VirtualServices for one domain, Istio would take the older one."""
    first, second = clients
    api = {"domain": "api.partner.example", "external": {**EXTERNAL, "credentials": SIGNED if first else {}}}
    more = {**api, "external": {**EXTERNAL, "port": 8443, "credentials": SIGNED if second else {}}}
    hosts = {"api": {**api, "clients": first}, "more": {**more, "clients": second}}
    made = stack(clients={"billing": CALLER}, hosts=hosts)
    entries = [o for o in made.objects() if o["kind"] == "ServiceEntry" and o["spec"]["location"] == "MESH_EXTERNAL"]
    assert {o["metadata"]["name"] for o in entries if o["metadata"]["namespace"] == "mtls"} == {known}
    (rule,) = made.one("VirtualService", f"client-billing.{known}-route")["spec"]["http"]
    assert ("route" in rule) is bool(first or second)
