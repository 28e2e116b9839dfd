"""The stack's outputs, in the shape of the contract."""

from outputs import ClientOutput, GatewayOutput, HostOutput, Outputs, TargetOutput
from tests.unit.deployment.program import A_PARTNER, API, CALLER, GATEWAY, ORDERS, TARGET, Stack

OWN, ACME = "spiffe://kyma-mtls/test/client/own", "spiffe://acme.example/client"


def test_outputs_describe_hosts_clients_and_signing_requests(stack: Stack) -> None:
    clients = {"own": {**CALLER, "domain": "own.example.com"}, "acme": A_PARTNER}
    hosts = {"orders": {**ORDERS, "clients": ["own", "acme"]}, "api": {**API, "clients": ["own"]}}
    outputs = stack(target=TARGET, clients=clients, hosts=hosts).result
    assert outputs["hosts"]["orders"]["secret"].startswith("kyma-mtls-certs-mtls-orders.1.")
    assert outputs == Outputs.exported(
        version="1.0",
        ca_certificate="certificates-ca.1-certPem",
        ca_expiry="certificates-ca.1-validityEndTime",
        target=TargetOutput.exported(
            namespace="mtls",
            ingress_gateway="istio-system/istio-ingressgateway",
            address="192.0.2.7",
            addresses=["192.0.2.7"],
        ),
        hosts={
            "orders": HostOutput.exported(
                domain="orders.example.com",
                external=False,
                clients={"own": OWN, "acme": ACME},
                gateway="mtls/kyma-mtls-gateway-orders",
                secret=outputs["hosts"]["orders"]["secret"],
                expiry="certificates-host-orders.1-validityEndTime",
            ),
            "api": HostOutput.exported(domain="api.partner.example", external=True, clients={"own": OWN}),
        },
        clients={
            "own": ClientOutput.exported(
                identity=OWN,
                hosts=["orders", "api"],
                namespace="mtls",
                callers=["mtls/curl"],
                egress_gateway="istio-system/istio-egressgateway",
                access_log=True,
                secret="client-credential-mtls.1",
                subject="CN=own.example.com,O=kyma-mtls",
                expiry="certificates-client-own.1-validityEndTime",
            ),
            "acme": ClientOutput.exported(identity=ACME, hosts=["orders"]),
        },
        signing_requests={"api": {"own": "client-own.api-request-certRequestPem"}},
    )


def test_outputs_without_a_target_have_none(stack: Stack) -> None:
    outputs = stack(clients={"own": CALLER}, hosts={"api": API}).result
    assert outputs.keys() == {"version", "caCertificate", "caExpiry", "hosts", "clients", "signingRequests"}
    assert outputs["hosts"] == {
        "api": HostOutput.exported(domain="api.partner.example", external=True, clients={"own": OWN})
    }


def test_outputs_describe_the_kyma_gateway(stack: Stack) -> None:
    config = {"target": TARGET, "clients": {"own": CALLER}, "hosts": {"orders": ORDERS}} | GATEWAY
    gateway = GatewayOutput.exported(
        domain="kyma.example.com",
        gateway="mtls/kyma-gateway",
        address="192.0.2.7",
        ca_certificate="gateway-ca.1-certPem",
        secret="kyma-gateway-certs-mtls",
        ca_secret="kyma-gateway-certs-mtls-cacert",
    )
    assert stack(**config | {"gatewayApiserverProxy": "false"}).result["gateway"] == gateway
    proxy = {"apiserverProxy": "apiserver.kyma.example.com"}
    assert stack(**config).result["gateway"] == gateway | proxy
