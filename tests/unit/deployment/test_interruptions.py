"""Facts whose change interrupts what is deployed."""

from deployment import interruptions
from tests.unit.config import read
from tests.unit.deployment.program import sites_of


def test_facts_are_those_that_cannot_change_without_an_interruption() -> None:
    settings = read(platform="istio")
    facts = {
        "stack": "test",
        "platform": "istio",
        "namespace": "",
        "target": "uid-target",
        "target.ingressGateway": "istio-system/istio-ingressgateway",
        "clients.caller": "uid-caller",
        "clients.caller.egressGateway": "istio-system/istio-egressgateway",
    }
    assert interruptions.recorded(settings, sites_of(settings), "test", {}) == facts
    gateway = read(gatewayMode="selfSigned", gatewayTakeOver="true")
    mode = {"gatewayMode": "own or selfSigned"}
    assert (
        interruptions.recorded(gateway, sites_of(gateway), "test", {}).items()
        >= {"gatewayTakeOver": "true", **mode}.items()
    )
    gardener = read(gatewayMode="gardener", gatewayDomain="kyma.example.com")
    facts = interruptions.recorded(gardener, sites_of(gardener), "test", {})
    assert facts.items() >= {"gatewayMode": "gardener"}.items()


def test_facts_of_clusters_that_are_away_stay() -> None:
    settings = read(platform="istio")
    facts = interruptions.recorded(settings, sites_of(settings), "test", {"clients.far": "uid-far"})
    assert facts.items() >= {"clients.far": "uid-far", "clients.caller": "uid-caller"}.items()
