"""DNS entries of the Kyma gateway by Gardener."""

import pulumi
import pytest

from tests.unit.components.kyma_gateway.deployed_gateway import GARDENER, Gateway
from tests.unit.facts import HELM_INGRESS


def test_gardener_makes_dns_entries_of_gateway_and_proxy(gateway: Gateway) -> None:
    stack = gateway(GARDENER)
    entries = {name: stack.one("DNSEntry", f"gateway-{name}") for name in ("dns", "apiserver-proxy-dns")}
    assert [entry["spec"] for entry in entries.values()] == [
        {"dnsName": "*.kyma.example.com", "ttl": 600, "targets": ["192.0.2.7"]},
        {"dnsName": "apiserver.kyma.example.com", "ttl": 600, "targets": ["192.0.2.8"]},
    ]
    assert stack.comes_after("Stash gateway-dns-ready", "DNSEntry gateway-dns")
    for entry in entries.values():
        annotations = entry["metadata"]["annotations"]
        assert annotations["dns.gardener.cloud/class"] == "garden"
        assert annotations["dns.gardener.cloud/ip-stack"] == "ipv4"


def test_dns_entry_of_a_dual_stack_gateway_has_every_address(gateway: Gateway) -> None:
    entry = gateway(GARDENER, ingress=HELM_INGRESS).one("DNSEntry", "gateway-dns")
    assert entry["spec"]["targets"] == ["192.0.2.9", "2001:db8::9"]
    assert entry["metadata"]["annotations"]["dns.gardener.cloud/ip-stack"] == "dual-stack"


def test_preview_does_not_know_the_ip_stack_of_a_proxy_that_the_cluster_has_yet_to_choose(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulumi.runtime, "is_dry_run", lambda: True)
    entry = gateway(GARDENER).one("DNSEntry", "gateway-apiserver-proxy-dns")
    assert set(entry["metadata"]["annotations"]) == {"dns.gardener.cloud/class"}, "a plan would refuse another one"
