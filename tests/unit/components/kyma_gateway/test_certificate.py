"""The sources of the Kyma gateway's certificates, and where certificates and keys go."""

from dataclasses import replace

from pulumi.runtime import rpc

from components.certificates import AuthorityArgs
from components.kyma_gateway.certificate import GardenerArgs
from tests.unit.components.kyma_gateway.deployed_gateway import ASKING, GARDENER, SELF_SIGNED, Gateway, data, decoded


def test_own_certificate_is_propagated_and_its_key_kept_where_it_serves(gateway: Gateway) -> None:
    stack = gateway()
    pair = {"tls.crt": "CERTIFICATE", "tls.key": "KEY"}
    assert decoded(data(stack, "Secret", "gateway-certificate")) == pair
    assert decoded(data(stack, "Secret", "gateway-apiserver-proxy-certificate")) == pair
    assert decoded(data(stack, "Secret", "gateway-ca")) == {"cacert": "CA"}
    assert decoded(data(stack, "Secret", "gateway-ingress")) == {"tls.crt": "CERTIFICATE"}


def test_key_is_a_secret_in_the_state_wherever_it_goes(gateway: Gateway) -> None:
    stack = gateway()
    for kind, name in (
        ("Secret", "gateway-certificate"),
        ("Secret", "gateway-apiserver-proxy-certificate"),
        ("ConfigMap", "gateway-net-global-overrides"),
        ("ConfigMap", "gateway-my-certificate-overrides"),
    ):
        assert rpc.is_rpc_secret(stack.one(kind, name)["data"]), f"previews would show the data of {kind} {name}"


def test_self_signed_certificates_are_for_the_wildcard_and_the_proxy(gateway: Gateway) -> None:
    stack = gateway(SELF_SIGNED)
    assert stack.one("SelfSignedCert", "gateway-ca.1")["isCaCertificate"] is True
    names = {
        role: stack.one("CertRequest", f"gateway-{role}.1")["dnsNames"]
        for role in ("certificate", "apiserver-proxy-certificate")
    }
    assert names == {
        "certificate": ["*.kyma.example.com"],
        "apiserver-proxy-certificate": ["apiserver.kyma.example.com"],
    }
    uses = [r.inputs["allowedUses"] for r in stack.resources if r.typ.endswith("LocallySignedCert")]
    assert uses == 2 * [["digital_signature", "server_auth"]]


def test_generation_of_the_gateways_ca_keeps_the_documents_names(gateway: Gateway) -> None:
    stack = gateway(AuthorityArgs("ECDSA-P256", 240, 2400, 24, "2", ("1",)))
    assert stack.one("Secret", "gateway-certificate")["metadata"]["name"] == "kyma-gateway-certs"
    assert decoded(data(stack, "Secret", "gateway-certificate"))["tls.crt"] == "gateway-certificate.2-certPem"
    assert decoded(data(stack, "Secret", "gateway-ca")) == {"cacert": "gateway-ca.2-certPemgateway-ca.1-certPem"}


def test_secrets_for_gardener_are_made_empty(gateway: Gateway) -> None:
    stack = gateway(GARDENER)
    for name in ("gateway-certificate", "gateway-apiserver-proxy-certificate"):
        assert "data" not in stack.one("Secret", name)


def test_gardener_certificate_has_its_issuer_duration_and_renewal(gateway: Gateway) -> None:
    stack = gateway(GARDENER)
    wildcard = stack.one("Certificate", "gateway-certificate")
    assert wildcard["spec"] == {
        "commonName": "*.kyma.example.com",
        "secretName": "kyma-gateway-certs",
        "issuerRef": {"name": "lab", "namespace": "issuers"},
        "duration": "2160h0m0s",
        "renewBefore": "720h0m0s",
        "privateKey": {"algorithm": "ECDSA", "size": 384},
    }
    assert stack.comes_after("Stash gateway-certificate-ready", "Certificate gateway-certificate")
    proxy = stack.one("Certificate", "gateway-apiserver-proxy-certificate")["spec"]
    assert (proxy["commonName"], proxy["secretName"]) == ("apiserver.kyma.example.com", "apiserver-proxy-tls-cert")


def test_gardener_certificate_of_a_long_name_has_no_common_name(gateway: Gateway) -> None:
    domain = ".".join(["a" * 40, "b" * 40, "example.com"])
    spec = gateway(GARDENER, domain=domain).one("Certificate", "gateway-certificate")["spec"]
    assert "commonName" not in spec, "it holds 64 characters"
    assert spec["dnsNames"] == [f"*.{domain}"]


def test_gardener_certificate_without_an_issuer_names_none(gateway: Gateway) -> None:
    spec = gateway(GardenerArgs(ASKING, "", "RSA-4096", 2160, 720)).one("Certificate", "gateway-certificate")["spec"]
    assert "issuerRef" not in spec
    assert spec["privateKey"] == {"algorithm": "RSA", "size": 4096}


def test_gardener_certificate_without_a_validity_has_no_duration(gateway: Gateway) -> None:
    asked = gateway(replace(GARDENER, validity_hours=0)).one("Certificate", "gateway-certificate")
    assert "duration" not in asked["spec"], "an ACME issuer refuses it"


def test_gardener_certificate_is_propagated_without_its_key(gateway: Gateway) -> None:
    stack = gateway(GARDENER)
    assert decoded(data(stack, "Secret", "gateway-ca")) == {"cacert": "ISSUED ca.crt"}
    assert decoded(data(stack, "Secret", "gateway-ingress")) == {"tls.crt": "ISSUED tls.crt"}
    assert data(stack, "ConfigMap", "gateway-net-global-overrides") == {
        "global.domainName": "kyma.example.com",
        "global.ingress.domainName": "kyma.example.com",
    }
