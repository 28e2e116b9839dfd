"""Stacks as they are deployed, for tests of what is tried on them."""

import json
from typing import Any

from settings import Settings
from tests.unit.pki import issue
from verification.deployed_outputs import read_outputs
from verification.stack import DeployedStack

AUTHORITY = issue("acme CA")
CA = AUTHORITY.pem
TARGET = {"kubeconfig": "target.yaml"}
WAREHOUSE = {"kubeconfig": "warehouse.yaml"}
BILLING = {"kubeconfig": "billing.yaml", "callers": ["invoices", "shop/till"]}
ACME = {"certificateAuthority": CA, "identity": "spiffe://acme.example/client"}
HTTPBIN = {"domain": "httpbin.example.com"}
ORDERS = {"domain": "orders.example.com", "service": {"namespace": "shop", "name": "orders", "port": 8080}}
PARTNER = {"domain": "api.partner.example", "external": {"certificateAuthority": CA}}
SUBJECT, IDENTITY = "CN=warehouse,O=client organization", "spiffe://kyma-mtls/test/client/warehouse"
KYMA_GATEWAY = {
    "domain": "kyma.example.com",
    "gateway": "mtls/kyma-gateway",
    "address": "",
    "caCertificate": CA,
    "secret": "kyma-gateway-certs-mtls",
    "caSecret": "kyma-gateway-certs-mtls-cacert",
}


def settings_of(**config: object) -> Settings:
    """Return structured settings as the engine passes them."""
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()}
    return Settings.from_config({f"kyma-mtls:{key}": text for key, text in texts.items()})


def outputs_of(settings: Settings) -> dict[str, Any]:
    """Return the outputs of a stack with these settings."""
    own = {
        name: {
            "identity": f"spiffe://kyma-mtls/test/client/{name}",
            "hosts": list(settings.hosts_of(name)),
            "namespace": "mtls",
            "callers": list(settings.clients[name].callers or ["mtls/curl"]),
            "egressGateway": "istio-system/istio-egressgateway",
            "accessLog": True,
            "secret": "client-credential-mtls",
            "subject": f"CN={name},O=client organization",
            "expiry": "2030-01-01T00:00:00Z",
        }
        for name in settings.own_clients
    }
    partners = {
        name: {"identity": each.identity, "hosts": list(settings.hosts_of(name))}
        for name, each in settings.clients.items()
        if each.is_partner
    }
    target = {
        "namespace": "mtls",
        "ingressGateway": "istio-system/istio-ingressgateway",
        "address": "192.0.2.7",
        "addresses": ["192.0.2.7"],
    }
    return {
        "version": "1.0",
        "caCertificate": CA,
        "caExpiry": "2030-01-01T00:00:00Z",
        **({"target": target} if settings.target else {}),
        "hosts": {
            name: {
                "domain": host.domain,
                "external": bool(host.external),
                "clients": {client: f"spiffe://{client}" for client in settings.admitted(name)},
            }
            for name, host in settings.hosts.items()
        },
        "clients": own | partners,
        "signingRequests": {},
    }


def stack_of(gateway: object = None, **config: object) -> DeployedStack:
    """Return a stack whose clusters have not been asked."""
    settings = settings_of(**config)
    outputs = read_outputs("test", outputs_of(settings) | ({"gateway": gateway} if gateway else {}), settings)
    return DeployedStack("test", settings, outputs)


def demo_stack(**config: object) -> DeployedStack:
    """Return a stack of the demo's host and client."""
    given = {"target": TARGET, "clients": {"warehouse": WAREHOUSE}, "hosts": {"httpbin": HTTPBIN}}
    return stack_of(**{**given, **config})
