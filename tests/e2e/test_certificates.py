"""The lab's Envoy takes each kind of certificate as the table says, by which the rules of the config are judged."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.x509 import DNSName, RFC822Name, UniformResourceIdentifier
from cryptography.x509.oid import ExtendedKeyUsageOID

from components import certificate_names
from settings import authorities
from tests.e2e.support import envoy
from tests.e2e.support.envoy import Envoy
from tests.support import certificate_kinds, certificates
from tests.support.certificates import issue

CLIENT_AUTH = ExtendedKeyUsageOID.CLIENT_AUTH

AUTHORITIES = {f"authorities {kind.name}": kind for kind in certificate_kinds.authorities()}
CREDENTIALS = {f"credential {kind.name}": kind for kind in certificate_kinds.credentials()}


@pytest.fixture(scope="module")
def running() -> Iterator[Envoy]:
    """Return an Envoy with all kinds, and with those that the stack deploys in another order."""
    server = issue("server", is_authority=False)
    contexts = {name: envoy.mutual(server, kind.pem) for name, kind in AUTHORITIES.items()}
    contexts |= {name: envoy.own(kind.chain, kind.key) for name, kind in CREDENTIALS.items()}
    deployed = {name: authorities.in_order(kind.pem) for name, kind in AUTHORITIES.items() if kind.ours}
    contexts |= {f"deployed {name}": envoy.mutual(server, pem) for name, pem in deployed.items()}
    with tempfile.TemporaryDirectory() as folder:  # whose path is short enough for sockets
        started = Envoy(Path(folder), contexts)
        with started.running():
            yield started


def test_authorities_are_taken_as_the_table_says(running: Envoy) -> None:
    admitted = {name: running.admits(name, kind.client) for name, kind in AUTHORITIES.items()}
    assert admitted == {name: kind.envoy for name, kind in AUTHORITIES.items()}


def test_authorities_that_the_config_takes_are_deployed_so_that_envoy_takes_them(running: Envoy) -> None:
    refused = [
        name for name, kind in AUTHORITIES.items() if kind.ours and not running.admits(f"deployed {name}", kind.client)
    ]
    assert refused == []


def test_credentials_are_loaded_as_the_table_says(running: Envoy) -> None:
    loaded = {name: running.has_loaded(name) for name in CREDENTIALS}
    assert loaded == {name: kind.envoy for name, kind in CREDENTIALS.items()}


NAME, WITHIN = DNSName("client.dhl.example"), DNSName("x;DNS=client.dhl.example")
ADMITTED = (
    [NAME],
    [DNSName("a.example"), NAME],
    [NAME, DNSName("a.example")],
    [DNSName("*.dhl.example"), NAME],
    [UniformResourceIdentifier(certificates.IDENTITY)],
)
FORGED = (
    [DNSName("a.example")],
    [WITHIN],
    [UniformResourceIdentifier("spiffe://x;DNS=client.dhl.example")],
    [DNSName("*.dhl.example"), WITHIN],
    [DNSName("c*t.dhl.example"), WITHIN],
    [DNSName("CLIENT.dhl.example"), WITHIN],
    [RFC822Name("client.dhl.example"), WITHIN],
)


def test_certificate_is_admitted_by_one_of_its_names_as_a_whole() -> None:
    authority, server = issue("authority"), issue("server", is_authority=False)
    identities = [certificates.IDENTITY, "dns:client.dhl.example"]
    context = envoy.mutual(server, authority.pem, certificate_names.names(identities))
    clients = {
        str(names): issue("client", authority, is_authority=False, usages=[CLIENT_AUTH], names=names)
        for names in (*ADMITTED, *FORGED)
    }
    with tempfile.TemporaryDirectory() as folder:
        started = Envoy(Path(folder), {"host": context}, [certificate_names.http_filter(identities)])
        with started.running():
            admitted = [name for name, client in clients.items() if started.admits("host", client)]
    assert admitted == [str(names) for names in ADMITTED]
