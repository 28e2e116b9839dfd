"""Admission of peers to a host of a shared gateway."""

import re
from dataclasses import replace
from typing import Any

import pulumi
import pytest

from components.authorization import Admission, Identities, admission_policy
from components.istio_gateway import IstioGateway
from tests.unit.conftest import Deploy
from tests.unit.facts import HELM_INGRESS

HOSTS = {"hosts": ["orders.example.com", "orders.example.com:*"], "notPorts": ["15021"]}
TO = [{"operation": HOSTS}]
WAREHOUSE = "kyma-mtls/test/client/warehouse"


def policy(deploy: Deploy, admitted: Identities, gateway: IstioGateway = HELM_INGRESS, **of: Any) -> dict[str, Any]:
    """Deploy a policy for one host of a gateway, of these methods and paths; return its inputs."""

    def program() -> None:
        admission = Admission("orders.example.com", admitted, **of)
        admission_policy("policy", "policy", gateway, admission, pulumi.ResourceOptions())

    return deploy(program).policy("policy")


def test_policy_denies_at_the_gateway_and_in_its_namespace(deploy: Deploy) -> None:
    made = policy(deploy, Identities([WAREHOUSE]))
    assert made["metadata"]["namespace"] == "ingress", "it selects in its own namespace"
    assert made["spec"]["action"] == "DENY", "an ALLOW for one host would deny its further hosts"
    assert made["spec"]["selector"] == {"matchLabels": HELM_INGRESS.selector}


def test_policies_of_two_domains_are_two_resources_and_two_objects(deploy: Deploy) -> None:
    def program() -> None:
        for domain in ("orders.example.com", "shop.example.com"):
            admission = Admission(domain, Identities())
            admission_policy("policy", "policy", HELM_INGRESS, admission, pulumi.ResourceOptions())

    stack = deploy(program)  # which refuses a second resource of the same name
    names = {made["metadata"]["name"] for made in stack.objects()}
    assert len(names) == 2, "the old domain would be open to all peers while it changes"


@pytest.mark.parametrize(
    ("admitted", "rule"),
    [
        (Identities(), {"to": TO}),
        (Identities([WAREHOUSE]), {"to": TO, "from": [{"source": {"notPrincipals": [WAREHOUSE]}}]}),
        (Identities(namespaces=["shop"]), {"to": TO, "from": [{"source": {"notNamespaces": ["shop"]}}]}),
        (
            Identities(["*/ns/shop/sa/cart"], ["invoices"]),
            {"to": TO, "from": [{"source": {"notPrincipals": ["*/ns/shop/sa/cart"], "notNamespaces": ["invoices"]}}]},
        ),
        (
            Identities(dns_names=["acme.example"]),
            {
                "to": TO,
                "when": [{"key": "request.headers[x-forwarded-client-cert]", "notValues": ["*;DNS=acme.example"]}],
            },
        ),
    ],
    ids=["nobody", "principal", "namespace", "principal-or-namespace", "dns-name"],
)
def test_policy_denies_the_host_to_all_but_the_admitted(
    deploy: Deploy, admitted: Identities, rule: dict[str, Any]
) -> None:
    assert policy(deploy, admitted)["spec"]["rules"] == [rule]


def test_policy_denies_peers_without_an_admitted_principal_or_dns_name(deploy: Deploy) -> None:
    (rule,) = policy(deploy, Identities([WAREHOUSE], dns_names=["a.example", "b.example"]))["spec"]["rules"]
    assert rule["from"] == [{"source": {"notPrincipals": [WAREHOUSE]}}]
    assert rule["when"][0]["notValues"] == ["*;DNS=a.example", "*;DNS=b.example"]


@pytest.mark.parametrize(
    ("identities", "message"),
    [
        ({"principals": ["*"]}, "principals '*': not a principal"),
        ({"principals": ["*/sa/cart"]}, "principals '*/sa/cart': not a principal"),
        ({"principals": ["*/ns/*/sa/cart"]}, "principals '*/ns/*/sa/cart': not a principal"),
        ({"principals": ["cluster.local/ns/shop/*"]}, "principals 'cluster.local/ns/shop/*': not a principal"),
        ({"namespaces": ["*"]}, "namespaces '*': not a DNS label"),
        ({"namespaces": "shop"}, "namespaces: not a list, but str"),
        ({"dns_names": ["*"]}, "dns_names '*': not a DNS name"),
        ({"dns_names": [""]}, "dns_names '': not a DNS name"),
    ],
)
def test_identities_refuse_wildcards_for_many_peers(identities: dict[str, Any], message: str) -> None:
    with pytest.raises(pulumi.RunError, match=re.escape(message)):
        Identities(**identities)


@pytest.mark.parametrize("principal", ["cluster.local/ns/shop/sa/cart", "*/ns/shop/sa/robot.v2", "acme.example/client"])
def test_identities_accept_single_peers(deploy: Deploy, principal: str) -> None:
    for given in (principal, pulumi.Output.from_input(principal)):
        (rule,) = policy(deploy, Identities([given]))["spec"]["rules"]
        assert rule["from"] == [{"source": {"notPrincipals": [principal]}}]


@pytest.mark.parametrize("admitted", [Identities(), Identities([WAREHOUSE]), Identities(dns_names=["a.example"])])
def test_policy_spares_connections_of_a_passthrough_gateway(deploy: Deploy, admitted: Identities) -> None:
    (rule,) = policy(deploy, admitted, replace(HELM_INGRESS, passthrough=True))["spec"]["rules"]
    assert rule["from"][0]["source"]["principals"] == ["*"], "Istio sees no host there: all connections would be denied"


def test_policy_denies_further_methods_and_paths_by_a_rule_each(deploy: Deploy) -> None:
    made = policy(deploy, Identities([WAREHOUSE]), methods=["GET", "POST"], paths=["/health", "/orders/*"])
    _, methods, paths = made["spec"]["rules"]
    of_peers = [{"source": {"principals": ["*"]}}]
    assert methods == {"from": of_peers, "to": [{"operation": {**HOSTS, "notMethods": ["GET", "POST"]}}]}
    assert paths == {"from": of_peers, "to": [{"operation": {**HOSTS, "notPaths": ["/health", "/orders/*"]}}]}
