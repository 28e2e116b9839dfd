"""What the certificates say, before any is made."""

import pytest

from components.certificates import AuthorityArgs, Certificates, CertificatesArgs
from settings.values import KeyAlgorithm
from tests.unit.conftest import Deploy, Recorder


def certificates(deploy: Deploy, algorithm: str = "ECDSA-P256") -> Recorder:
    authority = AuthorityArgs(
        key_algorithm=algorithm, validity_hours=240, ca_validity_hours=2400, early_renewal_hours=24, generation="1"
    )
    args = CertificatesArgs("httpbin.example.com", "client.example.com", authority)
    return deploy(lambda: Certificates("trust", args))


def test_the_server_certificate_serves_and_does_nothing_else(deploy: Deploy) -> None:
    trust = certificates(deploy)
    assert trust.one("CertRequest", "trust-server")["dnsNames"] == ["httpbin.example.com"]
    assert trust.one("LocallySignedCert", "trust-server")["allowedUses"] == ["digital_signature", "server_auth"]


def test_the_client_certificate_calls_and_does_nothing_else(deploy: Deploy) -> None:
    trust = certificates(deploy)
    request = trust.one("CertRequest", "trust-client")
    assert request["dnsNames"] == ["client.example.com"]
    assert request["subject"] == {"commonName": "client.example.com", "organization": "client organization"}
    assert trust.one("LocallySignedCert", "trust-client")["allowedUses"] == ["digital_signature", "client_auth"]


def test_both_are_signed_by_the_one_ca(deploy: Deploy) -> None:
    trust = certificates(deploy)
    assert trust.one("SelfSignedCert", "trust-ca")["isCaCertificate"] is True
    for role in ("server", "client"):
        certificate = trust.one("LocallySignedCert", f"trust-{role}")
        assert certificate["caCertPem"] == "trust-ca-certPem"
        assert "isCaCertificate" not in certificate, "a leaf that signs would be a second CA"


def test_every_certificate_renews_in_time(deploy: Deploy) -> None:
    trust = certificates(deploy)
    certs = [r.inputs for r in trust.resources if r.typ.endswith("Cert")]
    assert [(cert["validityPeriodHours"], cert["earlyRenewalHours"]) for cert in certs] == [
        (2400, 24),
        (240, 24),
        (240, 24),
    ]


@pytest.mark.parametrize("algorithm", list(KeyAlgorithm))
def test_every_algorithm_of_the_settings_is_spelled_out_for_the_tls_provider(
    deploy: Deploy, algorithm: KeyAlgorithm
) -> None:
    key = certificates(deploy, algorithm).one("PrivateKey", "trust-ca")
    name, _, size = algorithm.value.partition("-")
    assert key["algorithm"] == name
    assert key.get("ecdsaCurve") == (size if name == "ECDSA" else None), "P224 is the provider's own default"
    assert key.get("rsaBits") == (int(size) if name == "RSA" else None)
