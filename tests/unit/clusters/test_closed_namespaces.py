"""What the NetworkPolicies of closed namespaces do to Pods that run there."""

from typing import Any

import pytest

from tests.unit.clusters.served import Check, logistics, pod, whole
from tests.unit.clusters.served import warnings as warnings_of

OWNER = "0a1b"
POLICIES = "/apis/networking.k8s.io/v1/namespaces/logistics/networkpolicies?labelSelector=kyma-mtls%2Fowner%3D0a1b"
CLOSED = {POLICIES: {"items": [{"metadata": {"name": "network-policy-allow-egress-traffic-mtls"}}]}}
LINE = (
    "will close in Pods of namespace logistics that are no callers, {} in all: {}; they will reach their own "
    "namespace, DNS, istiod, the egress gateway and the allowedDestinations only"
)


def warnings(check: Check, client: dict[str, Any], *callers: str, policy: str = "callers") -> list[str]:
    """Return the warnings about a client with these callers, without the cluster's name."""
    found = check(whole("uid-1"), client, owner=OWNER, client={"callers": callers, "networkPolicy": policy})
    key = "kyma-mtls:clients.caller.networkPolicy: cluster "
    lines = warnings_of(found)
    assert all(line.startswith(key) for line in lines)
    return [line.removeprefix(key).partition(" ")[2] for line in lines]


def test_pods_that_are_no_callers_are_named_before_their_namespace_is_closed(check: Check) -> None:
    further = [pod(f"t-{number}", "tracker") for number in range(4)]
    client = logistics(pod("d", "dispatcher"), pod("db", sidecar=False), *further)
    assert warnings(check, client, "logistics/dispatcher") == [LINE.format(5, "db, t-0, t-1 and 2 more")]
    assert warnings(check, client | CLOSED, "logistics/dispatcher") == [], "its policy is there"
    assert warnings(check, client, "logistics/dispatcher", policy="own") == []


def test_pods_of_a_namespace_that_calls_as_a_whole_are_callers_unless_they_refuse_a_sidecar(check: Check) -> None:
    database = pod("db", sidecar=False, labels={"sidecar.istio.io/inject": "false"})
    assert warnings(check, logistics(pod("d", "dispatcher")), "logistics") == []
    assert warnings(check, logistics(pod("d"), database), "logistics") == [LINE.format(1, "db")]


@pytest.mark.parametrize("closed", [{}, CLOSED], ids=["open", "closed"])
def test_pods_on_the_hosts_network_are_named_always(check: Check, closed: dict[str, Any]) -> None:
    client = logistics(pod("d", "dispatcher"), pod("agent", "agent", sidecar=False, hostNetwork=True)) | closed
    assert warnings(check, client, "logistics/dispatcher") == [
        "has Pods with hostNetwork in namespace logistics, which no NetworkPolicy holds: agent"
    ]


def test_namespace_without_pods_has_no_warnings(check: Check) -> None:
    assert warnings(check, logistics(), "logistics") == []
