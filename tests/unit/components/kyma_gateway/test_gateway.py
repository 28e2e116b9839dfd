"""The Kyma gateway: its objects in each mode, its Gateway and its ServiceEntries."""

import pytest

from tests.unit.components.kyma_gateway.deployed_gateway import MODES, SELF_SIGNED, Gateway, data, made
from tests.unit.facts import HELM_INGRESS

TABLES = {
    "own": [
        "Secret ingress-tls-cert kyma-system",
        "ConfigMap net-global-overrides kyma-installer",
        "Secret kyma-gateway-certs istio-system",
        "Secret kyma-gateway-certs-cacert istio-system",
        "Secret apiserver-proxy-tls-cert kyma-system",
        "ConfigMap apiserver-proxy kyma-system",
    ],
    "gardener": [
        "Secret ingress-tls-cert kyma-system",
        "ConfigMap net-global-overrides kyma-installer",
        "Secret kyma-gateway-certs-cacert istio-system",
        "Certificate kyma-tls-cert istio-system",
        "Certificate apiserver-proxy-tls-cert kyma-system",
        "ConfigMap apiserver-proxy kyma-system",
    ],
}
TABLES["selfSigned"] = TABLES["own"]


@pytest.mark.parametrize("mode", MODES)
def test_gateway_makes_the_objects_of_the_documents_table_only(gateway: Gateway, mode: str) -> None:
    objects = made(gateway(MODES[mode]), "Secret", "ConfigMap", "Certificate")
    extra = {
        "own": ["ConfigMap my-certificate-overrides kyma-installer"],
        "gardener": ["Secret kyma-gateway-certs istio-system", "Secret apiserver-proxy-tls-cert kyma-system"],
    }
    assert sorted(objects) == sorted(TABLES[mode] + extra.get(mode, []))


def test_gateway_serves_the_domain_by_tls_1_2_and_redirects_to_it(gateway: Gateway) -> None:
    https, http = gateway().one("Gateway", "gateway-gateway")["spec"]["servers"]
    assert https["hosts"] == http["hosts"] == ["*.kyma.example.com"]
    assert https["port"] == {"number": 443, "name": "https", "protocol": "HTTPS"}
    assert https["tls"] == {
        "mode": "SIMPLE",
        "credentialName": "kyma-gateway-certs",
        "minProtocolVersion": "TLSV1_2",
        "cipherSuites": ["ECDHE-ECDSA-AES128-GCM-SHA256"],
    }
    assert (http["port"]["number"], http["tls"]) == (80, {"httpsRedirect": True})


@pytest.mark.parametrize("mode", MODES)
def test_gateway_without_a_take_over_has_names_of_the_stacks_own(gateway: Gateway, mode: str) -> None:
    stack = gateway(MODES[mode], alone=True)
    assert not {"Namespace", "APIGatewayPatch"} & stack.kinds()
    metadata = [r.inputs["metadata"] for r in stack.resources if "metadata" in r.inputs and not r.resource_id]
    for place in metadata:
        assert place["namespace"] in {"mtls", "istio-system"}
        if place["namespace"] == "istio-system":
            assert place["name"].removesuffix("-cacert").endswith("-mtls"), "two stacks would fight over a name"
    credential = stack.one("Gateway", "gateway-gateway")["spec"]["servers"][0]["tls"]["credentialName"]
    assert f"Secret {credential}-cacert istio-system" in made(stack, "Secret")


def test_gateway_without_a_domain_derives_one_from_its_address(gateway: Gateway) -> None:
    stack = gateway(SELF_SIGNED, domain="")
    (https, _) = stack.one("Gateway", "gateway-gateway")["spec"]["servers"]
    assert https["hosts"] == ["*.192-0-2-7.sslip.io"]
    assert stack.one("CertRequest", "gateway-certificate.1")["dnsNames"] == ["*.192-0-2-7.sslip.io"]
    assert data(stack, "ConfigMap", "gateway-apiserver-proxy-domain") == {"DOMAIN": "192-0-2-8.sslip.io"}
    assert stack.one("CertRequest", "gateway-apiserver-proxy-certificate.1")["dnsNames"] == [
        "apiserver.192-0-2-8.sslip.io"
    ], "the proxy has a load balancer of its own"


def test_gateway_and_its_secrets_follow_the_given_ingress_gateway(gateway: Gateway) -> None:
    stack = gateway(alone=True, ingress=HELM_INGRESS)
    assert stack.one("Gateway", "gateway-gateway")["spec"]["selector"] == HELM_INGRESS.selector
    places = {r.inputs["metadata"].get("namespace") for r in stack.resources if r.typ.endswith("v1:Secret")}
    assert places == {"ingress", "mtls"}


def test_gateway_has_neither_proxy_nor_overrides_unless_asked_for(gateway: Gateway) -> None:
    stack = gateway(apiserver_proxy=False, legacy_installer=False)
    assert not {"ConfigMap", "Service", "ApiserverProxy"} & stack.kinds()
    assert sorted(made(stack, "Secret")) == [
        "Secret ingress-tls-cert kyma-system",
        "Secret kyma-gateway-certs istio-system",
        "Secret kyma-gateway-certs-cacert istio-system",
    ]


def test_gateway_makes_service_entries_of_the_named_hosts_only(gateway: Gateway) -> None:
    assert not {"ServiceEntry", "Sidecar", "NetworkPolicy"} & gateway().kinds()
    entry = gateway(service_entry_hosts=("api.example.org",)).one("ServiceEntry", "gateway-api.example.org")
    assert entry["spec"]["hosts"] == ["api.example.org"]
    assert entry["spec"]["resolution"] == "DNS"
    assert {port["number"] for port in entry["spec"]["ports"]} == {80, 443}
