"""Keys of the config that must agree with each other."""

from typing import Any

import pytest

from tests.unit.config import check_refusal, read
from tests.unit.pki import issue

CA = issue("partner")
ACME = {"certificateAuthority": CA.pem, "identity": "spiffe://acme.example/client"}


def test_ca_outlives_its_certificates_by_a_day_at_least() -> None:
    assert read(caValidityDays="396").ca_validity_days == 396


def test_trusted_generations_differ_from_the_generation() -> None:
    assert read(generation="2026-11", trustedGenerations=["b", 3]).trusted_generations == ("b", "3")
    check_refusal("trustedGenerations[1]", "'2': is generation itself", generation="2", trustedGenerations=["1", "2"])
    check_refusal("trustedGenerations[0]", "'B': not a generation", trustedGenerations=["B"])


@pytest.mark.parametrize("config", [{"target": {}}, {"clients": {"acme": ACME}}, {"hosts": {}}])
def test_stack_without_anything_to_deploy_is_refused(config: dict[str, Any]) -> None:
    nothing = {"target": None, "clients": None, "hosts": None} | config
    check_refusal("hosts", "nothing to deploy; `pulumi config set --path 'hosts.NAME.domain' VALUE`", **nothing)


def test_hosts_and_gateway_need_a_target() -> None:
    check_refusal("target", "not set, but needed by hosts.httpbin;", target=None)
    check_refusal("target", "not set, but needed by gatewayMode;", target=None, hosts=None, gatewayMode="selfSigned")


def test_ingress_gateway_of_platform_kyma_is_the_one_that_api_rules_admit() -> None:
    target = {"kubeconfig": "target.yaml", "ingressGateway": "ingress/edge"}
    kyma = "APIRules of platform kyma admit istio-system/istio-ingressgateway only"
    check_refusal("target.ingressGateway", f"'ingress/edge': {kyma}", target=target)
    assert read(platform="istio", target=target).target.ingress_gateway == "ingress/edge"  # type: ignore[union-attr]


def test_stack_needs_no_target_for_partner_hosts() -> None:
    api = {"domain": "api.example.com", "external": {"certificateAuthority": CA.pem}}
    assert read(target=None, hosts={"api": api}).target_access is None
    assert read(target=None, hosts=None).hosts == {}


def test_stack_needs_no_own_client_for_partner_clients() -> None:
    settings = read(clients={"acme": ACME})
    assert settings.own_clients == {}
    assert settings.admitted("httpbin") == ("acme",)


def test_target_may_have_a_gateway_only() -> None:
    assert read(clients=None, hosts=None, gatewayMode="selfSigned").target == read().target


def test_name_in_which_a_secret_would_end_like_that_of_a_ca_is_refused() -> None:
    host: dict[str, Any] = {"domain": "api.example.com"}
    assert read(hosts={"api-cacert": host}), "a generation ends the name of its Secret"
    host["external"] = {"certificateAuthority": CA.pem}
    assert read(hosts={"api-cacert": host}), "a hash ends it"
    check_refusal("namespace", "'a-cacert': ends in -cacert", namespace="a-cacert", gatewayMode="selfSigned")
    assert read(namespace="a-cacert").namespace == "a-cacert"
