"""Gateways and the versions and ciphers of TLS that they accept."""

from typing import Any

import pytest

from policies.mtls_policies import gateways
from policies.mtls_policies.policy import UNKNOWN, Resource
from settings.gateway import CIPHER_PROFILES
from tests.unit.policies.judging import ISTIO, problems, resource


def gateway(tls: Any, kind: str = f"{ISTIO}:Gateway") -> Resource:
    plain = {"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "tls": {"httpsRedirect": True}}
    return resource(kind, spec={"servers": [plain, {"port": {"number": 443}, "tls": tls}]})


@pytest.mark.parametrize(
    "tls",
    [
        {"mode": "MUTUAL"},
        {"mode": "SIMPLE", "minProtocolVersion": "TLSV1_2", "cipherSuites": ["ECDHE-ECDSA-AES128-GCM-SHA256"]},
        {"mode": "SIMPLE", "minProtocolVersion": "TLS_AUTO"},
        {"mode": "SIMPLE", "minProtocolVersion": "TLSV1_3", "cipherSuites": ["AES128-SHA"]},
        {"mode": "PASSTHROUGH", "minProtocolVersion": "TLSV1_0"},
        {"mode": "ISTIO_MUTUAL"},
        {"mode": "SIMPLE", "minProtocolVersion": UNKNOWN, "cipherSuites": UNKNOWN},
        {"mode": "SIMPLE", "cipherSuites": [UNKNOWN]},
        {"mode": "SIMPLE", "minProtocolVersion": UNKNOWN, "cipherSuites": ["AES128-SHA"]},
        UNKNOWN,
        None,
    ],
)
def test_gateway_of_modern_tls_passes(tls: Any) -> None:
    assert not problems(gateways.POLICY, gateway(tls))


@pytest.mark.parametrize("kind", ["v1:Gateway", "v1beta1:Gateway", "v1alpha3:Gateway", "v1:GatewayPatch"])
@pytest.mark.parametrize("mode", ["SIMPLE", "MUTUAL", "OPTIONAL_MUTUAL"])
def test_gateway_that_accepts_old_tls_is_a_violation(kind: str, mode: str) -> None:
    judged = gateway({"mode": mode, "minProtocolVersion": "TLSV1_1"}, f"kubernetes:networking.istio.io/{kind}")
    assert problems(gateways.POLICY, judged) == [
        "spec.servers[1].tls.minProtocolVersion: accepts TLSV1_1; TLSV1_2 is the oldest allowed"
    ]


def test_gateway_that_offers_weak_cipher_is_a_violation() -> None:
    judged = gateway({"mode": "SIMPLE", "cipherSuites": ["ECDHE-RSA-AES128-SHA", "ECDHE-RSA-AES128-GCM-SHA256"]})
    (problem,) = problems(gateways.POLICY, judged)
    assert problem.startswith("spec.servers[1].tls.cipherSuites: offers ECDHE-RSA-AES128-SHA; allowed are ECDHE-")


def test_gateway_without_settings_is_judged_by_envoys_defaults() -> None:
    judged = gateway({"mode": "SIMPLE"})
    (newer,) = problems(gateways.POLICY, judged, minProtocolVersion="TLSV1_3")
    assert "accepts TLSV1_2; TLSV1_3 is the oldest allowed" in newer
    (fewer,) = problems(gateways.POLICY, judged, cipherSuites=gateways.MODERN_CIPHERS[1:])
    assert f"offers {gateways.MODERN_CIPHERS[0]};" in fewer


def test_allowed_ciphers_are_the_modern_ones_of_the_program() -> None:
    assert set(gateways.MODERN_CIPHERS) == set(CIPHER_PROFILES["modern"])


def test_gateway_of_the_gateway_api_is_not_judged() -> None:
    tls = {"mode": "SIMPLE", "minProtocolVersion": "TLSV1_0"}
    assert not problems(gateways.POLICY, gateway(tls, "kubernetes:gateway.networking.k8s.io/v1:Gateway"))
