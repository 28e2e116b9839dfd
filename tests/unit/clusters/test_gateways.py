"""Gateways of a cluster: what is read from their Services and Pods."""

from typing import Any

import pytest

from clusters import gateways
from components.istio_gateway import DOCUMENTED_EGRESS, IstioGateway
from settings import ConfigError
from tests.unit.clusters.served import refusal
from tests.unit.facts import HELM_INGRESS, ISTIOCTL_EGRESS, istio, service, workload
from tests.unit.fakes import fake_cluster

EDGE = "/api/v1/namespaces/ingress/services/edge"
EDGES = {"app": "edge", "istio": "edge"}
DEPLOYMENTS, DAEMON_SETS = (f"/apis/apps/v1/namespaces/ingress/{kind}" for kind in ("deployments", "daemonsets"))
HTTPS = {"port": 443, "targetPort": 443}


def edge(*ports: dict[str, Any], **changed: Any) -> dict[str, Any]:
    """Return a cluster with a gateway of Helm's chart, in namespace `ingress`."""
    found = service("ingress", "edge", EDGES, *(ports or (HTTPS,)), ipFamilies=["IPv4", "IPv6"])
    found["status"]["loadBalancer"] = {"ingress": [{"ip": "192.0.2.9"}, {"ip": "2001:db8::9"}, {"ipMode": "VIP"}]}
    pods = workload({**EDGES, "istio.io/rev": "stable"}, "edge")
    return {EDGE: found, DEPLOYMENTS: {"items": [pods, workload({"app": "other"}, "other")]}, **changed}


def read_edge(found: dict[str, Any]) -> IstioGateway:
    return gateways.find(fake_cluster(found), "ingress/edge", "target.ingressGateway")


def test_gateway_is_read_from_its_service_and_workloads() -> None:
    assert read_edge(edge()) == HELM_INGRESS


def test_gateway_of_istioctl_is_read_like_any_other() -> None:
    found = gateways.find(fake_cluster(istio()), "istio-system/istio-egressgateway", "clients.a.egressGateway")
    assert found == ISTIOCTL_EGRESS == DOCUMENTED_EGRESS


@pytest.mark.parametrize(
    ("port", "expected"), [({"port": 443, "targetPort": "https"}, 10443), ({"port": 443}, 443)], ids=["name", "none"]
)
def test_gateway_port_is_that_of_the_pods_behind_443(port: dict[str, Any], expected: int) -> None:
    assert read_edge(edge({"port": 80, "targetPort": 8080}, port)).port == expected


def test_gateway_port_that_no_pod_names_is_refused() -> None:
    with pytest.raises(ConfigError, match="has no port tls in the Pods behind port 443 of Service ingress/edge"):
        read_edge(edge({"port": 443, "targetPort": "tls"}))


@pytest.mark.parametrize(
    ("ports", "expected"),
    [
        ({443: 8443, 80: 8080}, (443, 8443)),
        ({443: 443}, (443,)),
        ({443: 8443, 8443: 9443}, (443,)),
        ({443: 8443, 9443: 8443}, (443, 8443, 9443)),
    ],
)
def test_gateway_server_ports_are_those_that_lead_to_the_listener(
    ports: dict[int, int], expected: tuple[int, ...]
) -> None:
    served = [{"port": port, "targetPort": target} for port, target in ports.items()]
    assert read_edge(edge(*served)).server_ports == expected


def test_gateway_service_accounts_are_those_of_every_workload() -> None:
    found = edge(**{DAEMON_SETS: {"items": [workload({**EDGES, "more": "labels"}, "another")]}})
    assert read_edge(found).accounts == ("another", "edge")


def deployment(replicas: int) -> dict[str, Any]:
    found = workload(EDGES, "edge")
    return {"spec": {**found["spec"], "replicas": replicas}}


@pytest.mark.parametrize(
    ("changed", "replicas"),
    [
        ({DEPLOYMENTS: {"items": [deployment(1)]}}, 1),
        ({DEPLOYMENTS: {"items": [deployment(1), deployment(2)]}}, 3),
        ({DEPLOYMENTS: {"items": [deployment(0)]}}, 0),
        ({DEPLOYMENTS: {"items": [deployment(1)]}, DAEMON_SETS: {"items": [workload(EDGES, "edge")]}}, None),
    ],
    ids=["deployment", "deployments", "to-zero", "daemon-set"],
)
def test_gateway_replicas_are_those_of_its_deployments(changed: dict[str, Any], replicas: int | None) -> None:
    assert read_edge(edge(**changed)).replicas == replicas
    assert gateways.replicas(fake_cluster(edge(**changed)), HELM_INGRESS) == replicas


def test_gateway_without_workloads_is_read_from_its_pods() -> None:
    pod = {"metadata": {"labels": EDGES}, "spec": {"serviceAccountName": "by-hand"}}
    pods = "/api/v1/namespaces/ingress/pods?labelSelector=app%3Dedge%2Cistio%3Dedge"
    found = edge(**{DEPLOYMENTS: {"items": []}, pods: {"items": [pod]}})
    assert read_edge(found).accounts == ("by-hand",)


@pytest.mark.parametrize(
    ("namespace", "revision"),
    [({"labels": {"istio.io/rev": "canary"}}, "canary"), ({"labels": {"istio-injection": "enabled"}}, "default")],
)
def test_gateway_without_a_revision_has_that_of_its_namespace(namespace: dict[str, Any], revision: str) -> None:
    found = edge(
        **{DEPLOYMENTS: {"items": [workload(EDGES, "edge")]}, "/api/v1/namespaces/ingress": {"metadata": namespace}}
    )
    assert read_edge(found).revision == revision


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ({}, "has no Service ingress/edge"),
        (edge({"port": 80}, {"port": 15021}), "has no port 443 in Service ingress/edge; it has 80, 15021"),
        (
            edge(**{EDGE: service("ingress", "edge", {}, HTTPS)}),
            "has no gateway behind Service ingress/edge, which has",
        ),
        (edge(**{DEPLOYMENTS: {"items": []}}), "has no Pods behind Service ingress/edge"),
    ],
    ids=["no-service", "no-port", "no-selector", "no-pods"],
)
def test_gateway_that_is_unusable_is_refused_by_its_key(found: dict[str, Any], message: str) -> None:
    said = refusal(lambda: read_edge(found))
    assert said.startswith(f"kyma-mtls:target.ingressGateway: cluster https://target {message}"), said


def test_gateway_to_come_may_be_missing_under_its_own_name() -> None:
    def find(name: str) -> IstioGateway:
        return gateways.find(fake_cluster(), name, "key", to_come=DOCUMENTED_EGRESS)

    assert find("istio-system/istio-egressgateway") is DOCUMENTED_EGRESS
    assert "has no Service egress/way-out" in refusal(lambda: find("egress/way-out"))
