"""Deployed stacks: settings with matching outputs, for tests of the verification."""

import json
from typing import Any

from outputs import VERSION, ClientOutput, GatewayOutput, HostOutput, Outputs, TargetOutput
from settings import Settings, read_config
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
KYMA_GATEWAY = GatewayOutput.exported(
    domain="kyma.example.com",
    gateway="mtls/kyma-gateway",
    address="",
    ca_certificate=CA,
    secret="kyma-gateway-certs-mtls",
    ca_secret="kyma-gateway-certs-mtls-cacert",
)


def settings_of(**config: object) -> Settings:
    """Return structured settings as the engine passes them."""
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()}
    return read_config({f"kyma-mtls:{key}": text for key, text in texts.items()})


def outputs_of(settings: Settings) -> dict[str, Any]:
    """Return the outputs of a stack with these settings."""
    own = {
        name: ClientOutput.exported(
            identity=f"spiffe://kyma-mtls/test/client/{name}",
            hosts=list(settings.hosts_of(name)),
            namespace="mtls",
            callers=list(settings.clients[name].callers or ["mtls/curl"]),
            egress_gateway="istio-system/istio-egressgateway",
            access_log=True,
            secret="client-credential-mtls",
            subject=f"CN={name},O=client organization",
            expiry="2030-01-01T00:00:00Z",
        )
        for name in settings.own_clients
    }
    partners = {
        name: ClientOutput.exported(identity=each.identity, hosts=list(settings.hosts_of(name)))
        for name, each in settings.clients.items()
        if each.is_partner
    }
    hosts = {
        name: HostOutput.exported(
            domain=host.domain,
            external=bool(host.external),
            clients={client: f"spiffe://{client}" for client in settings.admitted(name)},
        )
        for name, host in settings.hosts.items()
    }
    target = TargetOutput.exported(
        namespace="mtls",
        ingress_gateway="istio-system/istio-ingressgateway",
        address="192.0.2.7",
        addresses=["192.0.2.7"],
    )
    return Outputs.exported(
        version=VERSION,
        ca_certificate=CA,
        ca_expiry="2030-01-01T00:00:00Z",
        **({"target": target} if settings.target else {}),
        hosts=hosts,
        clients=own | partners,
        signing_requests={},
    )


def stack_of(gateway: object = None, **config: object) -> DeployedStack:
    """Return a stack whose clusters have not been asked."""
    settings = settings_of(**config)
    outputs = read_outputs("test", outputs_of(settings) | ({"gateway": gateway} if gateway else {}), settings)
    return DeployedStack("test", settings, outputs)


def demo_stack(**config: object) -> DeployedStack:
    """Return a stack of the demo's host and client."""
    given = {"target": TARGET, "clients": {"warehouse": WAREHOUSE}, "hosts": {"httpbin": HTTPBIN}}
    return stack_of(**{**given, **config})
