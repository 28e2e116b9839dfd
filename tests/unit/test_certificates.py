"""What the certificates say, before any is made."""

import pytest
from pulumi.runtime import rpc

from components.certificates import AuthorityArgs, Certificates, Credential, SigningRequest, client_names
from settings.values import KeyAlgorithm
from tests.unit.conftest import Deploy, Recorder

IDENTITY = "spiffe://kyma-mtls/test/client/warehouse"


def certificates(deploy: Deploy, algorithm: str = "ECDSA-P256", domain: str = "client.example.com") -> Recorder:
    """Deploy a CA, a host's certificate and a client's; the result is the client's credential."""
    args = AuthorityArgs(
        key_algorithm=algorithm, validity_hours=240, ca_validity_hours=2400, early_renewal_hours=24, generation="1"
    )

    def program() -> Credential:
        trust = Certificates("trust", args)
        trust.server("orders", "orders.example.com")
        return trust.client("warehouse", IDENTITY, domain)

    return deploy(program)


def test_server_certificate_serves_its_domain_and_does_nothing_else(deploy: Deploy) -> None:
    trust = certificates(deploy)
    request = trust.one("CertRequest", "trust-host-orders")
    assert (request["dnsNames"], request.get("uris") or []) == (["orders.example.com"], [])
    assert trust.one("LocallySignedCert", "trust-host-orders")["allowedUses"] == ["digital_signature", "server_auth"]


def test_client_certificate_calls_and_does_nothing_else(deploy: Deploy) -> None:
    certificate = certificates(deploy).one("LocallySignedCert", "trust-client-warehouse")
    assert certificate["allowedUses"] == ["digital_signature", "client_auth"]


@pytest.mark.parametrize(
    ("domain", "dns_names", "common_name"),
    [("client.example.com", ["client.example.com"], "client.example.com"), ("", [], "warehouse")],
)
def test_client_certificate_has_its_identity_beside_a_domain_that_may_lack(
    deploy: Deploy, domain: str, dns_names: list[str], common_name: str
) -> None:
    trust = certificates(deploy, domain=domain)
    request = trust.one("CertRequest", "trust-client-warehouse")
    assert request["uris"] == [IDENTITY], "hosts admit by it"
    assert request["dnsNames"] == dns_names
    assert request["subject"] == {"commonName": common_name, "organization": "kyma-mtls"}
    assert trust.result.subject == f"CN={common_name},O=kyma-mtls", "as Envoy writes it"


def test_every_certificate_is_signed_by_the_one_ca(deploy: Deploy) -> None:
    trust = certificates(deploy)
    assert trust.one("SelfSignedCert", "trust-ca")["isCaCertificate"] is True
    assert trust.one("SelfSignedCert", "trust-ca")["subject"]["commonName"] == "kyma-mtls test", "stacks differ"
    for role in ("host-orders", "client-warehouse"):
        certificate = trust.one("LocallySignedCert", f"trust-{role}")
        assert certificate["caCertPem"] == "trust-ca-certPem"
        assert "isCaCertificate" not in certificate, "a leaf that signs would be a second CA"


def test_every_certificate_renews_in_time(deploy: Deploy) -> None:
    certs = [r.inputs for r in certificates(deploy).resources if r.typ.endswith("Cert")]
    hours = [(cert["validityPeriodHours"], cert["earlyRenewalHours"]) for cert in certs]
    assert hours == [(2400, 24), (240, 24), (240, 24)]


def test_every_key_of_the_authority_follows_the_generation(deploy: Deploy) -> None:
    trust = certificates(deploy)
    for name in ("trust-ca", "trust-host-orders", "trust-client-warehouse"):
        request = trust.request("PrivateKey", name)
        assert request.replacement_trigger.string_value == "trust-generation-hex"
        assert "privateKeyPem" in request.additionalSecretOutputs
        assert not request.ignoreChanges, "it follows the algorithm, too"


def test_signing_request_asks_for_the_clients_names_with_a_key_that_stays(deploy: Deploy) -> None:
    def program() -> SigningRequest:
        return SigningRequest("request", "RSA-3072", *client_names("warehouse", IDENTITY, "client.example.com"))

    recorder = deploy(program)
    request = recorder.one("CertRequest", "request")
    assert (request["dnsNames"], request["uris"]) == (["client.example.com"], [IDENTITY])
    assert rpc.is_rpc_secret(request["privateKeyPem"]), "it would be readable in the state"
    key = recorder.request("PrivateKey", "request")
    assert not key.HasField("replacement_trigger"), "the partner signed this key"
    assert "privateKeyPem" in key.additionalSecretOutputs
    assert set(key.ignoreChanges) == {"algorithm", "ecdsaCurve", "rsaBits"}, "another algorithm is for later keys"
    assert recorder.one("PrivateKey", "request")["rsaBits"] == 3072
    assert "SelfSignedCert" not in recorder.kinds()


@pytest.mark.parametrize("algorithm", list(KeyAlgorithm))
def test_every_algorithm_of_the_settings_is_spelled_out_for_the_tls_provider(
    deploy: Deploy, algorithm: KeyAlgorithm
) -> None:
    key = certificates(deploy, algorithm).one("PrivateKey", "trust-ca")
    name, _, size = algorithm.value.partition("-")
    assert key["algorithm"] == name
    assert key.get("ecdsaCurve") == (size if name == "ECDSA" else None), "P224 is the provider's own default"
    assert key.get("rsaBits") == (int(size) if name == "RSA" else None)
