"""Names of client certificates, each compared as a whole; tests/e2e/test_certificates.py asks Envoy."""

from typing import Any

import pytest

from components import certificate_names

IDENTITIES = ["spiffe://kyma-mtls/test/client/warehouse", "dns:acme.example"]


@pytest.mark.parametrize(
    ("identities", "expected"), [(IDENTITIES, True), (IDENTITIES[:1], False), (IDENTITIES[1:], True), ([], False)]
)
def test_names_need_the_filter_where_a_dns_name_is_admitted(identities: list[str], expected: bool) -> None:
    assert certificate_names.are_compared(identities) is expected


def test_filter_denies_each_certificate_without_one_of_the_names_as_a_whole() -> None:
    rules: dict[str, Any] = certificate_names.http_filter(IDENTITIES)["typed_config"]["rules"]
    assert rules["action"] == "DENY"
    ((principal,),) = (policy["principals"] for policy in rules["policies"].values())
    admitted = principal["not_id"]["or_ids"]["ids"]
    assert [each["authenticated"]["principal_name"] for each in admitted] == [
        {"exact": "spiffe://kyma-mtls/test/client/warehouse"},
        {"exact": "acme.example"},
    ]


def test_filter_is_for_connections_of_one_host_alone() -> None:
    spec = certificate_names.refusing_filter({"istio": "ingressgateway"}, "orders.example.com", IDENTITIES)
    assert spec["workloadSelector"] == {"labels": {"istio": "ingressgateway"}}
    (patch,) = spec["configPatches"]
    assert patch["match"]["listener"]["filterChain"]["sni"] == "orders.example.com"
    assert patch["patch"] == {"operation": "INSERT_FIRST", "value": certificate_names.http_filter(IDENTITIES)}
