"""What the program does beside the engine: waits for Kyma's operator, gives its gateway back, asks Gardener why."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from kubernetes.client import ApiClient

from clusters import Cluster, gateway_hooks
from clusters.gateway_hooks import API_GATEWAY
from settings import ClusterAccess

FINALIZER = "gateways.operator.kyma-project.io/kyma-gateway"
OPERATING: dict[str, Any] = {"metadata": {"finalizers": [FINALIZER]}}
LEFT: dict[str, Any] = {"metadata": {}}


@dataclass(frozen=True)
class Recorded(Cluster):
    """Answers one after the other, the last one for ever; remembers what it was told to change."""

    answers: list[Any] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    patched: list[tuple[str, Any]] = field(default_factory=list)

    def read(self, path: str) -> Any:
        self.asked.append(path)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def patch(self, path: str, change: Any) -> Any:
        self.patched.append((path, change))


def recorded(*answers: Any) -> Recorded:
    access = ClusterAccess(side="target", kubeconfig="", context="")
    return Recorded(access, ApiClient(), list(answers))


def test_what_is_made_waits_until_the_operator_has_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway_hooks, "_PAUSE_SECONDS", 0)
    for last in (LEFT, None):
        cluster = recorded(OPERATING, OPERATING, last)
        gateway_hooks.wait_until_given_up(cluster)
        assert cluster.asked == [API_GATEWAY] * 3


def test_an_operator_that_stays_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway_hooks, "_TIMEOUT_SECONDS", -1)
    with pytest.raises(TimeoutError, match="did not give up kyma-gateway"):
        gateway_hooks.wait_until_given_up(recorded(OPERATING))


def test_the_gateway_is_given_back_to_an_operator_that_is_still_there() -> None:
    cluster = recorded(LEFT)
    gateway_hooks.give_back(cluster)
    assert cluster.patched == [(API_GATEWAY, {"spec": {"enableKymaGateway": True}})], "absent means false to it"
    cluster = recorded(None)
    gateway_hooks.give_back(cluster)
    assert cluster.patched == []


def test_what_gardener_says_is_found_for_a_certificate_and_for_a_dns_entry() -> None:
    metadata = {"namespace": "istio-system", "name": "kyma"}
    certificate = {"apiVersion": "cert.gardener.cloud/v1alpha1", "kind": "Certificate", "metadata": metadata}
    cluster = recorded({"status": {"state": "Error", "message": "no such issuer"}})
    assert gateway_hooks.gardeners_word(cluster, certificate) == "Error: no such issuer"
    assert cluster.asked == ["/apis/cert.gardener.cloud/v1alpha1/namespaces/istio-system/certificates/kyma"]
    entry = {"apiVersion": "dns.gardener.cloud/v1alpha1", "kind": "DNSEntry", "metadata": metadata}
    for silent in (None, {}, {"status": {"state": None}}):
        cluster = recorded(silent)
        assert gateway_hooks.gardeners_word(cluster, entry) == "nothing: no message"
    assert cluster.asked == ["/apis/dns.gardener.cloud/v1alpha1/namespaces/istio-system/dnsentries/kyma"]
