"""What the program does beside the engine: waits for Kyma's operator, gives its gateway back, asks Gardener why."""

from typing import Any

import pytest

from clusters import gateway_hooks
from clusters.gateway_hooks import API_GATEWAY
from tests.unit.fakes import fake_cluster

FINALIZER = "gateways.operator.kyma-project.io/kyma-gateway"
OPERATING: dict[str, Any] = {"metadata": {"finalizers": [FINALIZER]}}
LEFT: dict[str, Any] = {"metadata": {}}
CERTIFICATE = "/apis/cert.gardener.cloud/v1alpha1/namespaces/istio-system/certificates/kyma"
DNS_ENTRY = "/apis/dns.gardener.cloud/v1alpha1/namespaces/istio-system/dnsentries/kyma"


def test_what_is_made_waits_until_the_operator_has_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway_hooks, "_PAUSE_SECONDS", 0)
    for last in (LEFT, None):
        cluster = fake_cluster({API_GATEWAY: [OPERATING, OPERATING, last]})
        gateway_hooks.wait_until_given_up(cluster)
        assert cluster.asked == [API_GATEWAY] * 3


def test_an_operator_that_stays_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway_hooks, "_TIMEOUT_SECONDS", -1)
    with pytest.raises(TimeoutError, match="did not give up kyma-gateway"):
        gateway_hooks.wait_until_given_up(fake_cluster({API_GATEWAY: OPERATING}))


def test_the_gateway_is_given_back_to_an_operator_that_is_still_there() -> None:
    cluster = fake_cluster({API_GATEWAY: LEFT})
    gateway_hooks.give_back(cluster)
    assert cluster.patched == [(API_GATEWAY, {"spec": {"enableKymaGateway": True}})], "absent means false to it"
    cluster = fake_cluster()
    gateway_hooks.give_back(cluster)
    assert cluster.patched == []


def test_what_gardener_says_is_found_for_a_certificate_and_for_a_dns_entry() -> None:
    metadata = {"namespace": "istio-system", "name": "kyma"}
    certificate = {"apiVersion": "cert.gardener.cloud/v1alpha1", "kind": "Certificate", "metadata": metadata}
    cluster = fake_cluster({CERTIFICATE: {"status": {"state": "Error", "message": "no such issuer"}}})
    assert gateway_hooks.gardeners_word(cluster, certificate) == "Error: no such issuer"
    cluster = fake_cluster({DNS_ENTRY: {"status": {"state": "Stale", "message": "no zone"}}})
    entry = {"apiVersion": "dns.gardener.cloud/v1alpha1", "kind": "DNSEntry", "metadata": metadata}
    assert gateway_hooks.gardeners_word(cluster, entry) == "Stale: no zone"
    for silent in (None, {}, {"status": {"state": None}}):
        assert gateway_hooks.gardeners_word(fake_cluster({DNS_ENTRY: silent}), entry) == "nothing: no message"
