"""Requests for keys and certificates, as the TLS provider gets them."""

import pulumi
import pytest
from pulumi.runtime import rpc

from components.certificates import AuthorityArgs, Certificates, Credential, SigningRequest, client_names, joined
from components.choices import KeyAlgorithm
from tests.unit.conftest import Deploy, Recorder
from tests.unit.pki import issue

_OF_A_CA = ("PrivateKey", "SelfSignedCert")
_OF_A_LEAF = ("PrivateKey", "CertRequest", "LocallySignedCert")
IDENTITY = "spiffe://kyma-mtls/test/client/warehouse"


def certificates(
    deploy: Deploy,
    algorithm: str = "ECDSA-P256",
    domain: str = "client.example.com",
    trusted: tuple[str, ...] = (),
) -> Recorder:
    """Deploy the CA of generation 2, a host's certificate and a client's; the result is the client's credential."""
    args = AuthorityArgs(
        key_algorithm=algorithm,
        validity_hours=240,
        ca_validity_hours=2400,
        early_renewal_hours=24,
        generation="2",
        trusted_generations=trusted,
    )

    def program() -> Credential:
        trust = Certificates("trust", args)
        trust.server("orders", "orders.example.com")
        return trust.client("warehouse", IDENTITY, domain)

    return deploy(program)


def test_server_certificate_is_for_server_authentication_of_its_domain_only(deploy: Deploy) -> None:
    trust = certificates(deploy)
    request = trust.one("CertRequest", "trust-host-orders.2")
    assert (request["dnsNames"], request.get("uris") or []) == (["orders.example.com"], [])
    assert trust.one("LocallySignedCert", "trust-host-orders.2")["allowedUses"] == ["digital_signature", "server_auth"]


def test_client_certificate_is_for_client_authentication_only(deploy: Deploy) -> None:
    certificate = certificates(deploy).one("LocallySignedCert", "trust-client-warehouse.2")
    assert certificate["allowedUses"] == ["digital_signature", "client_auth"]


@pytest.mark.parametrize(
    ("domain", "dns_names", "common_name"),
    [("client.example.com", ["client.example.com"], "client.example.com"), ("", [], "warehouse")],
)
def test_client_certificate_has_its_identity_and_its_domain_if_any(
    deploy: Deploy, domain: str, dns_names: list[str], common_name: str
) -> None:
    trust = certificates(deploy, domain=domain)
    request = trust.one("CertRequest", "trust-client-warehouse.2")
    assert request["uris"] == [IDENTITY], "hosts admit by it"
    assert request["dnsNames"] == dns_names
    assert request["subject"] == {"commonName": common_name, "organization": "kyma-mtls"}
    assert trust.result.subject == f"CN={common_name},O=kyma-mtls", "as Envoy writes it"


def test_certificates_are_signed_by_the_ca_of_their_generation(deploy: Deploy) -> None:
    trust = certificates(deploy, trusted=("1",))
    for generation in ("1", "2"):
        ca = trust.one("SelfSignedCert", f"trust-ca.{generation}")
        assert ca["isCaCertificate"] is True
        assert ca["subject"]["commonName"] == f"kyma-mtls test {generation}", "stacks and generations differ"
    for role in ("host-orders", "client-warehouse"):
        certificate = trust.one("LocallySignedCert", f"trust-{role}.2")
        assert certificate["caCertPem"] == "trust-ca.2-certPem"
        assert "isCaCertificate" not in certificate, "a leaf that signs would be a second CA"


def test_certificates_renew_in_time_and_none_outlives_its_ca(deploy: Deploy) -> None:
    certs = [r.inputs for r in certificates(deploy, trusted=("1",)).resources if r.typ.endswith("Cert")]
    hours = [(cert["validityPeriodHours"], cert["earlyRenewalHours"]) for cert in certs]
    assert sorted(hours) == [(240, 24), (240, 24), (2400, 240 + 24), (2400, 240 + 24)]


@pytest.mark.parametrize("zone", ["Z", "+01:00"])
def test_expiry_has_the_whole_seconds_of_the_certificate(deploy: Deploy, zone: str) -> None:
    made = {"SelfSignedCert": {"validityEndTime": f"2031-11-25T13:57:56.62513424{zone}"}}
    authority = deploy(lambda: Certificates("trust", AuthorityArgs()).ca.expiry, outputs=made)
    assert authority.result == f"2031-11-25T13:57:56{zone}"


def test_certificate_that_was_never_deployed_has_no_expiry_and_is_not_joined(deploy: Deploy) -> None:
    """Register what `pulumi destroy --run-program` registers: its outputs are None."""
    unmade = {"validityEndTime": None, "certPem": None}

    def program() -> object:
        trust = Certificates("trust", AuthorityArgs())
        return {"expiry": trust.ca.expiry, "trusted": trust.trusted}

    recorder = deploy(program, outputs={"SelfSignedCert": unmade, "LocallySignedCert": unmade})
    assert recorder.result == {"expiry": "", "trusted": ""}


def test_resources_have_their_generation_in_their_names(deploy: Deploy) -> None:
    trust = certificates(deploy, trusted=("1", "3"))
    made = {name for name in trust.names() if not name.startswith("Certificates")}
    assert {name.rpartition(".")[2] for name in made} == {"1", "2", "3"}, (
        "a new generation is made before the old one goes"
    )
    signed = {f"{kind} trust-{role}.2" for kind in _OF_A_LEAF for role in ("host-orders", "client-warehouse")}
    cas = {f"{kind} trust-ca.{generation}" for kind in _OF_A_CA for generation in ("1", "2", "3")}
    assert made == signed | cas, "trusted CAs sign nothing"


def test_credential_trusts_the_cas_of_all_generations_the_signing_one_first(deploy: Deploy) -> None:
    def program() -> object:
        args = AuthorityArgs("ECDSA-P256", 240, 2400, 24, "2", ("1", "3"))
        trust = Certificates("trust", args)
        credential = trust.server("orders", "orders.example.com")
        return {"of-all": trust.trusted, "trusted": credential.trusted, "generations": credential.generations}

    trusted = "trust-ca.2-certPemtrust-ca.1-certPemtrust-ca.3-certPem"
    assert deploy(program).result == {
        "of-all": trusted,
        "trusted": trusted,
        "generations": "2.1.3",
    }


def test_joined_pem_is_valid_without_a_final_line_break(deploy: Deploy) -> None:
    first, second = issue("first").pem, issue("second").pem
    given: list[pulumi.Input[str]] = [first.strip(), pulumi.Output.from_input(second), first.strip()]
    assert deploy(lambda: joined(given)).result == first + second


def test_algorithm_change_replaces_keys_of_hosts_and_clients_and_keeps_those_of_cas(deploy: Deploy) -> None:
    trust = certificates(deploy, trusted=("1",))
    kept = {"algorithm", "ecdsaCurve", "rsaBits"}
    expected = {"ca.1": kept, "ca.2": kept, "host-orders.2": set(), "client-warehouse.2": set()}
    for name, ignored in expected.items():
        request = trust.request("PrivateKey", f"trust-{name}")
        assert "privateKeyPem" in request.additionalSecretOutputs
        assert set(request.ignoreChanges) == ignored


def test_signing_request_has_the_clients_names_and_keeps_its_key(deploy: Deploy) -> None:
    def program() -> SigningRequest:
        return SigningRequest("request", "RSA-3072", *client_names("warehouse", IDENTITY, "client.example.com"))

    recorder = deploy(program)
    request = recorder.one("CertRequest", "request")
    assert (request["dnsNames"], request["uris"]) == (["client.example.com"], [IDENTITY])
    assert rpc.is_rpc_secret(request["privateKeyPem"]), "it would be readable in the state"
    key = recorder.request("PrivateKey", "request")
    assert not key.HasField("replacement_trigger"), "the partner signed this key"
    assert "privateKeyPem" in key.additionalSecretOutputs
    assert set(key.ignoreChanges) == {"algorithm", "ecdsaCurve", "rsaBits"}, "a new algorithm is for later keys"
    assert recorder.one("PrivateKey", "request")["rsaBits"] == 3072
    assert "SelfSignedCert" not in recorder.kinds()


@pytest.mark.parametrize("algorithm", list(KeyAlgorithm))
def test_key_algorithms_are_those_of_the_tls_provider(deploy: Deploy, algorithm: KeyAlgorithm) -> None:
    key = certificates(deploy, algorithm).one("PrivateKey", "trust-ca.2")
    name, _, size = algorithm.value.partition("-")
    assert key["algorithm"] == name
    assert key.get("ecdsaCurve") == (size if name == "ECDSA" else None), "P224 is the provider's own default"
    assert key.get("rsaBits") == (int(size) if name == "RSA" else None)


def test_unknown_key_algorithm_is_refused() -> None:
    with pytest.raises(pulumi.RunError, match="key_algorithm 'ECDSA-P224': use one of ECDSA-P256, ECDSA-P384, RSA-"):
        AuthorityArgs(key_algorithm="ECDSA-P224")
