"""Certificates that are expired or not valid yet: warnings, since an error would stop all renewals."""

from datetime import timedelta
from typing import Any

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from settings import validity
from tests.unit.config import read
from tests.unit.pki import Holder, issue

PAST, TOMORROW = timedelta(minutes=-1), timedelta(days=1)
NAMES = ("billing.example.com",)
DOMAIN = "kyma.example.com"
WILDCARD = (f"*.{DOMAIN}",)
CA, OLD, NEXT = issue("ca"), issue("old", end=PAST), issue("next", start=TOMORROW)
OLD_CREDENTIAL = issue("worn", CA, hosts=NAMES, usage=ExtendedKeyUsageOID.CLIENT_AUTH, end=PAST)
OLD_SERVER = issue("server", OLD, hosts=WILDCARD, end=PAST)


def partner(pem: str) -> dict[str, Any]:
    """Config with a partner's client."""
    acme = {"certificateAuthority": pem, "identity": "spiffe://acme.example/client"}
    return {"clients": {"acme": acme}}


def external(pem: str, certificate: str = "") -> dict[str, Any]:
    """Return config with a partner's host, and the client's credential for it."""
    credentials = {"caller": {"certificate": certificate}} if certificate else {}
    host = {"certificateAuthority": pem, "credentials": credentials}
    return {"hosts": {"api": {"domain": "api.partner.example", "external": host}}}


def own(server: Holder, *chain: Holder) -> dict[str, Any]:
    """Config with a gateway that serves with the user's certificate."""
    pem = "".join(each.pem for each in (server, *chain))
    given = {"gatewayCertificate": pem, "gatewayKey": server.key_pem}
    return {"gatewayMode": "own", "gatewayDomain": DOMAIN, **given}


AUTHORITY, CREDENTIALS = "hosts.api.external.certificateAuthority", "hosts.api.external.credentials"


@pytest.mark.parametrize(
    ("config", "beginnings"),
    [
        (partner(OLD.pem), ["clients.acme.certificateAuthority: CN=old expired on "]),
        (partner(OLD.pem + CA.pem), []),
        (external(OLD.pem), [f"{AUTHORITY}: CN=old expired on "]),
        (external(NEXT.pem), [f"{AUTHORITY}: CN=next is not valid before "]),
        (
            external(OLD.pem + NEXT.pem),
            [f"{AUTHORITY}: CN=old expired on ", f"{AUTHORITY}: CN=next is not valid before "],
        ),
        (external(CA.pem + OLD.pem), []),
        (
            external(CA.pem, OLD_CREDENTIAL.pem + CA.pem),
            [f"{CREDENTIALS}.caller.certificate: CN=worn expired on "],
        ),
        (
            own(OLD_SERVER, OLD),
            ["gatewayCertificate: CN=server expired on ", "gatewayCertificate: CN=old expired on "],
        ),
        (
            own(issue("server", CA, hosts=WILDCARD, start=TOMORROW), CA),
            ["gatewayCertificate: CN=server is not valid before "],
        ),
        (own(issue("server", CA, hosts=WILDCARD), CA), []),
        ({}, []),
    ],
    ids=[
        "client",
        "client-old-and-new",
        "host",
        "host-to-come",
        "host-old-and-to-come",
        "host-new-and-old",
        "credential",
        "gateway",
        "gateway-to-come",
        "gateway-valid",
        "none",
    ],
)
def test_certificate_that_is_not_valid_now_is_a_warning(config: dict[str, Any], beginnings: list[str]) -> None:
    warnings = validity.warnings(read(**config))
    assert len(warnings) == len(beginnings), warnings
    for warning, beginning in zip(warnings, beginnings, strict=True):
        assert warning.startswith(f"kyma-mtls:{beginning}")


def test_trusted_certificate_that_is_no_cas_is_a_warning() -> None:
    leaf = issue("leaf", CA, hosts=NAMES)
    (warning,) = validity.warnings(read(**partner(CA.pem + leaf.pem)))
    assert warning.startswith("kyma-mtls:clients.acme.certificateAuthority: CN=leaf is not the certificate of a CA")
