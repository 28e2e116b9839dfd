"""The way to the Kubernetes API through Kyma's apiserver-proxy."""

from tests.unit.components.kyma_gateway.deployed_gateway import Gateway


def test_load_balancer_asks_external_dns_for_its_entry(gateway: Gateway) -> None:
    service = gateway().one("Service", "gateway-apiserver-proxy-service")
    assert service["spec"]["type"] == "LoadBalancer"
    assert service["spec"]["selector"] == {"app": "apiserver-proxy"}
    assert service["metadata"]["annotations"]["external-dns.alpha.kubernetes.io/hostname"] == (
        "apiserver.kyma.example.com"
    )
