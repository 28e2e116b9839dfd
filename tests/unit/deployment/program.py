"""The whole program under mocks: configs that tests deploy, and their clusters."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from cryptography.x509.oid import ExtendedKeyUsageOID

from clusters import Site, kyma_gateway_facts
from clusters.facts import ClusterFacts
from clusters.gateway_hooks import API_GATEWAY
from components.ownership import Owner
from settings import Client, Settings
from tests.unit.conftest import Recorder
from tests.unit.facts import CLIENT_FACTS, TARGET_FACTS
from tests.unit.fakes import fake_cluster, kube_system
from tests.unit.pki import issue

PROGRAM = Path(__file__).parents[3] / "__main__.py"
ACME = issue("acme")
PARTNER = issue("partner")
BILLING = issue("billing", PARTNER, hosts=("billing.example.com",), usage=ExtendedKeyUsageOID.CLIENT_AUTH)

HTTPBIN: dict[str, Any] = {"domain": "httpbin.example.com"}
ORDERS = {"domain": "orders.example.com", "service": {"namespace": "shop", "name": "orders", "port": 8080}}
EXTERNAL: dict[str, Any] = {"certificateAuthority": PARTNER.pem}
API = {"domain": "api.partner.example", "external": EXTERNAL}
SIGNED = {"billing": {"certificate": BILLING.pem, "key": BILLING.key_pem}}
A_PARTNER = {"certificateAuthority": ACME.pem, "identity": "spiffe://acme.example/client"}
TARGET = {"kubeconfig": "target.yaml"}
CALLER = {"kubeconfig": "client.yaml"}
ANOTHER = {"kubeconfig": "another.yaml"}
CALLS_OUT = {**CALLER, "callers": ["mtls/curl"], "networkPolicy": "callers"}
GATEWAY = {
    "gatewayMode": "selfSigned",
    "gatewayDomain": "kyma.example.com",
    "gatewayApiserverProxy": "true",
    "gatewayLegacyInstaller": "true",
    "gatewayServiceEntries": "a.example.org",
}
TAKE_OVER = GATEWAY | {"platform": "kyma", "gatewayTakeOver": "true"}
_GARDENER = {"/apis": {"groups": [{"name": "cert.gardener.cloud"}, {"name": "dns.gardener.cloud"}]}}
_KYMA = {API_GATEWAY: {"metadata": {}, "spec": {"enableKymaGateway": True}}}

Stack = Callable[..., Recorder]


def sites_of(settings: Settings, owner: Owner = Owner("owner-hex")) -> list[Site]:  # noqa: B008 - it is frozen
    """Return every site of the settings, as if its cluster had passed the checks."""
    assert owner.mark == "owner-hex", "without its mark, the stack takes its own objects for those of another"
    sites = [
        Site(fake_cluster(kube_system(f"uid-{name}"), f"clients.{name}"), _client_facts(client), name)
        for name, client in settings.own_clients.items()
        if not client.away
    ]
    if not settings.target:
        return sites
    target = fake_cluster(kube_system("uid-target") | _GARDENER | _KYMA)
    kyma_gateway = kyma_gateway_facts.find(settings, target, "192.0.2.7", owner)
    gateway = replace(TARGET_FACTS.gateway, passthrough=settings.target.gateway_passthrough)
    return [Site(target, replace(TARGET_FACTS, gateway=gateway, kyma_gateway=kyma_gateway)), *sites]


def _client_facts(client: Client) -> ClusterFacts:
    gateway = replace(CLIENT_FACTS.gateway, passthrough=client.gateway_passthrough)
    return replace(CLIENT_FACTS, gateway=gateway)
