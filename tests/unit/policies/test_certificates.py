"""Certificates and how long they are valid."""

import pytest

from policies.mtls_policies import certificates
from policies.mtls_policies.policy import UNKNOWN, Resource
from tests.unit.policies.judging import problems, resource

ISSUED = "tls:index/locallySignedCert:LocallySignedCert"
AUTHORITY = "tls:index/selfSignedCert:SelfSignedCert"
CERT_MANAGER = "kubernetes:cert-manager.io/v1:Certificate"
GARDENER = "kubernetes:cert.gardener.cloud/v1alpha1:Certificate"


@pytest.mark.parametrize(
    ("judged", "problem"),
    [
        (
            resource(ISSUED, validityPeriodHours=366 * 24.0),
            "validityPeriodHours: 366 days; 365 are allowed (maximumDays)",
        ),
        (
            resource(AUTHORITY, validityPeriodHours=8761),
            "validityPeriodHours: 365.042 days; 365 are allowed (maximumDays)",
        ),
        (
            resource(AUTHORITY, validityPeriodHours=1826 * 24, isCaCertificate=True),
            "validityPeriodHours: 1826 days; 1825 are allowed (maximumAuthorityDays)",
        ),
        (
            resource(CERT_MANAGER, spec={"duration": "8760h30m"}),
            "spec.duration: 365.021 days; 365 are allowed (maximumDays)",
        ),
        (
            resource(f"{CERT_MANAGER}Patch", spec={"duration": "8784h"}),
            "spec.duration: 366 days; 365 are allowed (maximumDays)",
        ),
        (
            resource(GARDENER, spec={"duration": "48000h0m0s", "isCA": True}),
            "spec.duration: 2000 days; 1825 are allowed (maximumAuthorityDays)",
        ),
    ],
)
def test_certificate_beyond_its_limit_is_a_violation(judged: Resource, problem: str) -> None:
    assert problems(certificates.POLICY, judged) == [problem]


@pytest.mark.parametrize(
    "judged",
    [
        resource(ISSUED, validityPeriodHours=365 * 24),
        resource(ISSUED, validityPeriodHours=UNKNOWN),
        resource(AUTHORITY, validityPeriodHours=1825 * 24, isCaCertificate=True),
        resource(CERT_MANAGER, spec={"duration": "8760h0m0s"}),
        resource(GARDENER, spec={}),
        resource(GARDENER, spec=UNKNOWN),
        resource(GARDENER, spec={"duration": "9000h", "isCA": UNKNOWN}),
        resource(f"{GARDENER}Patch", spec={"secretName": "renamed"}),
        resource("tls:index/certRequest:CertRequest"),
    ],
)
def test_certificate_within_its_limit_passes(judged: Resource) -> None:
    assert not problems(certificates.POLICY, judged)


def test_limits_of_certificates_are_those_of_the_config() -> None:
    assert problems(certificates.POLICY, resource(ISSUED, validityPeriodHours=91 * 24), maximumDays=90)
    assert not problems(certificates.POLICY, resource(ISSUED, validityPeriodHours=400 * 24), maximumDays=400)
