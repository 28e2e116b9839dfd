"""Texts that AuthorizationPolicies and Envoy's RBAC filters compare."""

from typing import Any

import pytest

from proxies.policies import rules_for, rules_of


def envoy(*principals: dict[str, Any], **permission: Any) -> dict[str, Any]:
    ids = {"and_ids": {"ids": [{"not_id": {"or_ids": {"ids": list(principals)}}}]}}
    return {"permissions": [permission or {"any": True}], "principals": [ids]}


def name(**matcher: Any) -> dict[str, Any]:
    return {"authenticated": {"principal_name": matcher}}


def regex(text: str) -> dict[str, Any]:
    return name(safe_regex={"regex": text})


@pytest.mark.parametrize(
    ("source", "principal"),
    [
        ({"notPrincipals": ["kyma-mtls/client/a"]}, name(exact="spiffe://kyma-mtls/client/a")),
        ({"notPrincipals": ["*/ns/shop/sa/cart"]}, regex("spiffe://.*/ns/shop/sa/cart")),
        ({"notPrincipals": ["cluster.local/ns/shop/*"]}, name(prefix="spiffe://cluster.local/ns/shop/")),
        ({"principals": ["*"]}, regex(".+")),
        ({"notNamespaces": ["shop"]}, regex(".*/ns/shop/.*")),
        ({"namespaces": ["shop"]}, regex(".*/ns/shop/.*")),
    ],
)
def test_sources_have_the_texts_of_envoys_principals(source: dict[str, Any], principal: dict[str, Any]) -> None:
    wanted = rules_for({"rules": [{"from": [{"source": source}]}]})
    key = "ns[istio-system]-policy[a]-rule[0]"
    assert rules_of({key: envoy(principal)}, "istio-system/a") == wanted
    other = envoy(name(exact="spiffe://kyma-mtls/client/b"))
    assert rules_of({key: other}, "istio-system/a") not in (wanted, None)


def test_operations_and_conditions_have_the_texts_of_envoys_permissions() -> None:
    operation = {"hosts": ["a.test", "a.test:*"], "notMethods": ["GET"], "notPaths": ["/x", "/y/*"], "notPorts": ["1"]}
    condition = {"key": "request.headers[x]", "notValues": ["*;DNS=b.test"]}
    wanted = rules_for({"rules": [{"to": [{"operation": operation}], "when": [condition]}]})
    matchers = [
        {"header": {"name": ":authority", "string_match": {"exact": "a.test", "ignore_case": True}}},
        {"header": {"name": ":authority", "string_match": {"prefix": "a.test:", "ignore_case": True}}},
        {"not_rule": {"header": {"name": ":method", "string_match": {"exact": "GET"}}}},
        {"url_path": {"path": {"exact": "/x"}}},
        {"url_path": {"path": {"prefix": "/y/"}}},
        {"not_rule": {"or_rules": {"rules": [{"destination_port": 1}]}}},
    ]
    dns = {"header": {"name": "x", "string_match": {"suffix": ";DNS=b.test"}}}
    assert rules_of({"ns[n]-policy[p]-rule[0]": envoy(dns, and_rules={"rules": matchers})}, "n/p") == wanted


def test_rules_are_told_apart_by_policy_and_place() -> None:
    keys = ["ns[n]-policy[p]-rule[0]", "ns[n]-policy[p]-rule[1]", "ns[m]-policy[p]-rule[0]", "istio-ext-authz-x"]
    policies = {key: envoy(name(exact=str(number))) for number, key in enumerate(keys)}
    assert rules_of(policies, "n/p") == {0: frozenset("0"), 1: frozenset("1")}
    assert rules_of(policies, "m/p") == {0: frozenset("2")}
    assert rules_of(policies, "n/pp") is None


def test_policy_that_denies_everybody_has_a_rule_without_identities() -> None:
    assert rules_for({"rules": [{"to": [{"operation": {"hosts": ["a.test"]}}]}]}) == {0: {"a.test"}}
    assert rules_for({}) == {}
