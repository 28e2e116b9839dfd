"""Every rule of the Kyma gateway's config."""

from typing import Any

import pytest

from settings.gateway import CIPHER_PROFILES, GatewayMode
from tests.unit.config import check_refusal, read, refusal
from tests.unit.pki import issue

DOMAIN = "kyma.example.com"
OWN = issue("server", hosts=(f"*.{DOMAIN}",))
OWN_CONFIG: dict[str, Any] = {
    "gatewayMode": "own",
    "gatewayDomain": DOMAIN,
    "gatewayCertificate": OWN.pem,
    "gatewayKey": OWN.key_pem,
}
SELF_SIGNED: dict[str, Any] = {"gatewayMode": "selfSigned"}


def test_gateway_mode_is_none_by_default() -> None:
    assert read().gateway.mode == GatewayMode.NONE


def test_gateway_mode_needs_no_more_than_its_keys() -> None:
    assert read(**OWN_CONFIG).gateway.key.get_secret_value() == OWN.key_pem
    assert read(**SELF_SIGNED).gateway.domain == "", "the demo domain comes from the cluster"
    assert read(gatewayMode="gardener").gateway.domain == "", "so does the shoot's"


def test_documented_ciphers_are_those_of_the_document() -> None:
    gateway = read(**SELF_SIGNED, gatewayCiphers="documented", gatewayKeyAlgorithm="RSA-2048").gateway
    assert gateway.cipher_suites == (
        "ECDHE-RSA-CHACHA20-POLY1305",
        "ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES256-SHA",
        "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-RSA-AES128-SHA",
    )


def test_modern_ciphers_authenticate_and_serve_both_types_of_keys() -> None:
    suites = read(**SELF_SIGNED).gateway.cipher_suites
    assert suites == CIPHER_PROFILES["modern"]
    assert all("GCM" in name or "POLY1305" in name for name in suites), "CBC is weak"
    assert {name.split("-")[1] for name in suites} == {"ECDSA", "RSA"}


def test_ciphers_may_be_listed() -> None:
    listed = "ECDHE-ECDSA-AES256-GCM-SHA384, ECDHE-RSA-AES256-GCM-SHA384"
    suites = read(**SELF_SIGNED, gatewayCiphers=listed).gateway.cipher_suites
    assert suites == ("ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384")


def test_service_entries_are_a_list_of_hosts() -> None:
    hosts = read(**SELF_SIGNED, gatewayServiceEntries="a.example.org,b.example.org").gateway.service_entry_hosts
    assert hosts == ("a.example.org", "b.example.org")


@pytest.mark.parametrize(
    ("config", "key", "message"),
    [
        ({"gatewayMode": "xip"}, "gatewayMode", "'xip': Input should be 'none', 'own', 'selfSigned' or 'gardener'"),
        ({"gatewayMod": "own"}, "gatewayMod", "unknown key; did you mean gatewayMode?"),
        (SELF_SIGNED | {"gatewayDomain": "localhost"}, "gatewayDomain", "not a domain name"),
        (SELF_SIGNED | {"gatewayDomain": "192.0.2.1"}, "gatewayDomain", "an IP address"),
        (SELF_SIGNED | {"gatewayDomain": "a.svc"}, "gatewayDomain", "a name within a cluster"),
        (SELF_SIGNED | {"gatewayDomain": "*.example.com"}, "gatewayDomain", "not a domain name"),
        (SELF_SIGNED | {"gatewayDomain": "a." * 122 + "example.com"}, "gatewayDomain", "longer than 243"),
        (SELF_SIGNED | {"gatewayCiphers": "ECDHE-ECDSA-RC4-SHA"}, "gatewayCiphers", "Envoy has no cipher"),
        (SELF_SIGNED | {"gatewayCiphers": ""}, "gatewayCiphers", "Envoy has no cipher"),
        (SELF_SIGNED | {"gatewayCiphers": "ECDHE-RSA-AES128-SHA"}, "gatewayCiphers", "is weak"),
        (SELF_SIGNED | {"gatewayCiphers": "AES128-GCM-SHA256"}, "gatewayCiphers", "is weak"),
        (SELF_SIGNED | {"gatewayCiphers": ",".join(2 * CIPHER_PROFILES["modern"])}, "gatewayCiphers", "more than once"),
        (SELF_SIGNED | {"gatewayCiphers": "documented"}, "gatewayCiphers", "no cipher for a key of type ECDSA"),
        (OWN_CONFIG | {"gatewayCiphers": "documented"}, "gatewayCiphers", "no cipher for a key of type ECDSA"),
        (SELF_SIGNED | {"gatewayCertificate": OWN.pem}, "gatewayCertificate", "it belongs to own"),
        (SELF_SIGNED | {"gatewayKey": OWN.key_pem}, "gatewayKey", "set, but gatewayMode is selfSigned"),
        (SELF_SIGNED | {"gatewayIssuer": "lab"}, "gatewayIssuer", "it belongs to gardener"),
        (SELF_SIGNED | {"gatewayWaitMinutes": "9"}, "gatewayWaitMinutes", "it belongs to gardener"),
        ({"gatewayMode": "gardener", "gatewayWaitMinutes": "61"}, "gatewayWaitMinutes", "less than or equal to 60"),
        (OWN_CONFIG | {"gatewayKeyAlgorithm": "RSA-2048"}, "gatewayKeyAlgorithm", "it belongs to selfSigned or"),
        ({"gatewayTakeOver": "true"}, "gatewayTakeOver", "set, but gatewayMode is none"),
        ({"gatewayMode": "gardener", "gatewayIssuer": "a/b/c"}, "gatewayIssuer", "not the name of an Issuer"),
        ({"gatewayMode": "gardener", "gatewayValidityDays": "59"}, "gatewayValidityDays", "less than 60"),
        (
            {"gatewayMode": "gardener", "gatewayValidityDays": "60", "renewBeforeDays": "60"},
            "gatewayValidityDays",
            "not more than renewBeforeDays (60)",
        ),
        ({"gatewayMode": "selfSigned", "gatewayValidityDays": "90"}, "gatewayValidityDays", "belongs to gardener"),
        (OWN_CONFIG | {"gatewayDomain": ""}, "gatewayDomain", "not set; gatewayMode own needs it"),
        (OWN_CONFIG | {"gatewayKey": issue("x").key_pem}, "gatewayKey", "not the key of gatewayCertificate"),
        (OWN_CONFIG | {"gatewayDomain": "other.example.com"}, "gatewayCertificate", "not for *.other.example.com"),
        (SELF_SIGNED | {"gatewayServiceEntries": "a.example.org,a.example.org"}, "gatewayServiceEntries", "once"),
        (SELF_SIGNED | {"gatewayServiceEntries": "a.example.org,127.1"}, "gatewayServiceEntries", "an IP address"),
        (SELF_SIGNED | {"gatewayServiceEntries": "a.b.svc"}, "gatewayServiceEntries", "a name within a cluster"),
        (OWN_CONFIG | {"gatewayCertificate": OWN.pem + OWN.key_pem}, "gatewayCertificate", "holds a private key"),
        (SELF_SIGNED | {"gatewayServiceEntries": "https://a.example.org"}, "gatewayServiceEntries", "not a domain"),
    ],
)
def test_wrong_value_is_one_error_that_names_its_key(config: dict[str, Any], key: str, message: str) -> None:
    check_refusal(key, message, **config)


def test_keys_that_a_mode_lacks_are_reported_at_once() -> None:
    keys = [line.split(": ")[0] for line in refusal(gatewayMode="own", gatewayIssuer="x")]
    assert keys == [
        *("kyma-mtls:gatewayIssuer", "kyma-mtls:gatewayDomain"),
        *("kyma-mtls:gatewayCertificate", "kyma-mtls:gatewayKey"),
    ]


@pytest.mark.parametrize("config", [{}, SELF_SIGNED, OWN_CONFIG | {"gatewayDomain": "x"}, {"gatewayKeyy": OWN.key_pem}])
def test_errors_show_no_private_key(config: dict[str, Any]) -> None:
    shown = "\n".join(refusal(**({"gatewayKey": OWN.key_pem, "platform": "x"} | config)))
    assert not any(line in shown for line in OWN.key_pem.splitlines())


def test_private_key_that_is_not_encrypted_is_refused() -> None:
    (line,) = refusal(lambda _: False, **OWN_CONFIG)
    assert line == "kyma-mtls:gatewayKey: not encrypted; `pulumi config set --secret gatewayKey`"
