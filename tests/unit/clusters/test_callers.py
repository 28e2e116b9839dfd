"""Callers of a client: their namespace, and the sidecars and labels of their Pods."""

from typing import Any

import pytest

from clusters import Site
from components.ownership import OWNER_LABEL
from tests.unit.clusters.served import (
    INJECTED,
    LOGISTICS,
    Check,
    kyma_modules,
    logistics,
    pod,
    problems,
    warnings,
    whole,
)
from tests.unit.fakes import Answer

OWNER = "0a1b"
DISPATCHER = "logistics/dispatcher"
GATEWAY_POLICIES = (
    "/apis/security.istio.io/v1/namespaces/istio-system/authorizationpolicies?labelSelector=kyma-mtls%2Fowner%3D0a1b"
)
NO_SIDECARS = (
    "clients.caller.callers[0]: cluster has no sidecars in Pods of {}: {}; their requests would not leave by the "
    "egress gateway: label their namespace for injection, and restart them"
)


def run(check: Check, client: dict[str, Any], *callers: str, owner: str | None = OWNER, **config: Any) -> list[Site]:
    """Check a client with these callers; `policy` is its networkPolicy."""
    target, policy = whole("uid-1") | config.pop("target_has", {}), config.pop("policy", "none")
    return check(target, client, owner=owner, client={"callers": callers, "networkPolicy": policy}, **config)


@pytest.mark.parametrize(
    "client",
    [
        logistics(pod("a", "dispatcher"), pod("b", "tracker", sidecar=False)),
        logistics(pod("a", "dispatcher"), namespace={"metadata": {"name": "logistics"}}),
        logistics(),
    ],
    ids=["others-without", "injected-by-labels-of-pods", "no-pods-yet"],
)
def test_caller_whose_pods_have_sidecars_is_accepted(check: Check, client: dict[str, Any]) -> None:
    assert warnings(run(check, client, DISPATCHER)) == []


def test_namespace_that_is_to_come_is_a_warning(check: Check) -> None:
    (line,) = warnings(run(check, logistics(namespace=Answer(b"{}", 404)), DISPATCHER))
    assert line.startswith("kyma-mtls:clients.caller.callers[0]: ")
    assert line.endswith("has no namespace logistics yet; is the name right?")


def test_namespace_that_is_to_be_closed_has_to_be_there(check: Check) -> None:
    missing = logistics(namespace=Answer(b"{}", 404))
    assert problems(lambda: run(check, missing, "logistics", DISPATCHER, policy="callers")) == [
        f"clients.caller.callers[{index}]: cluster has no namespace logistics; correct the name, or make the namespace "
        "first"
        for index in (0, 1)
    ]


def test_caller_whose_pods_have_no_sidecars_is_refused(check: Check) -> None:
    bare = [pod(f"d-{number}", "dispatcher", sidecar=False) for number in range(5)]
    client = logistics(*bare, pod("a", "dispatcher"), pod("t", "tracker", sidecar=False))
    found = problems(lambda: run(check, client, DISPATCHER))
    assert found == [NO_SIDECARS.format(DISPATCHER, "d-0, d-1, d-2 and 2 more")]


def test_default_account_is_that_of_pods_that_name_none(check: Check) -> None:
    client = logistics(pod("a", sidecar=False))
    assert problems(lambda: run(check, client, "logistics/default")) == [NO_SIDECARS.format("logistics/default", "a")]


@pytest.mark.parametrize("where", ["labels", "annotations"])
def test_pod_that_refuses_a_sidecar_is_a_caller_by_its_service_account_only(check: Check, where: str) -> None:
    refusing: dict[str, Any] = {where: {"sidecar.istio.io/inject": "false"}}
    client = logistics(pod("a"), pod("db", "db", sidecar=False, **refusing))
    assert warnings(run(check, client, "logistics")) == []
    assert problems(lambda: run(check, client, "logistics/db")) == [NO_SIDECARS.format("logistics/db", "db")]
    assert problems(lambda: run(check, logistics(pod("b", sidecar=False)), "logistics"))


def test_pod_on_the_network_of_its_node_is_no_caller_of_a_namespace(check: Check) -> None:
    exporter = pod("exporter", "exporter", sidecar=False, hostNetwork=True)
    assert warnings(run(check, logistics(pod("a", "dispatcher"), exporter), "logistics")) == []
    assert len(problems(lambda: run(check, logistics(exporter), "logistics/exporter"))) == 1, "it is named"


def test_caller_whose_requests_pass_by_its_sidecars_is_refused(check: Check) -> None:
    excluding = {"traffic.sidecar.istio.io/excludeOutboundPorts": "80"}
    client = logistics(
        pod("a", "dispatcher"),
        pod("b", "dispatcher", annotations=excluding),
        pod("c", "dispatcher", annotations={"sidecar.istio.io/interceptionMode": "NONE"}),
        pod("t", "tracker", annotations=excluding),
    )
    assert problems(lambda: run(check, client, DISPATCHER)) == [
        "clients.caller.callers[0]: cluster has sidecars that take no requests at port 80 in Pods of "
        "logistics/dispatcher: b, c; their requests would leave in plain HTTP: take back "
        "sidecar.istio.io/interceptionMode and traffic.sidecar.istio.io/excludeOutboundPorts, and restart them"
    ]
    (line,) = warnings(run(check, client | admitting(notNamespaces=["logistics"]), "logistics"))
    assert "take no requests at port 80 in Pods of logistics: b, c, t;" in line


def test_caller_whose_sidecars_leave_out_addresses_is_a_warning(check: Check) -> None:
    excluding = {"traffic.sidecar.istio.io/excludeOutboundIPRanges": "192.0.2.0/24,10.0.0.0/8"}
    client = logistics(pod("a", "dispatcher"), pod("b", "dispatcher", annotations=excluding))
    (line,) = warnings(run(check, client, DISPATCHER))
    assert "take no requests to 10.0.0.0/8, 192.0.2.0/24 in Pods of logistics/dispatcher: b; requests for a" in line


@pytest.mark.parametrize("labels", [None, {"istio-injection": "disabled"}, {"istio.io/rev": "gone"}])
def test_namespace_without_injection_is_a_warning_while_it_has_no_pods_of_the_caller(check: Check, labels: Any) -> None:
    namespace = {"metadata": {"name": "logistics", "labels": labels}}
    (line,) = warnings(run(check, logistics(pod("t", "tracker"), namespace=namespace), DISPATCHER))
    assert "clients.caller.callers[0]: " in line
    assert "injects no sidecars into namespace logistics" in line


def admitting(**source: Any) -> dict[str, Any]:
    """Return the stack's policies in the egress gateway's namespace, one of which admits these."""
    rule = {"from": [{"source": source}], "to": [{"operation": {"hosts": ["httpbin.example.com"]}}]}
    policy = {"metadata": {"labels": {OWNER_LABEL: OWNER}}, "spec": {"action": "DENY", "rules": [rule, {"to": []}]}}
    return {GATEWAY_POLICIES: {"items": [policy]}}


@pytest.mark.parametrize(
    ("caller", "source"),
    [
        (DISPATCHER, {"notPrincipals": ["*/ns/mtls/sa/curl", "*/ns/logistics/sa/dispatcher"]}),
        ("logistics", {"notNamespaces": ["logistics"]}),
    ],
)
def test_problem_of_an_admitted_caller_is_a_warning(check: Check, caller: str, source: dict[str, Any]) -> None:
    client = logistics(pod("a", "dispatcher", sidecar=False))
    (line,) = warnings(run(check, client | admitting(**source), caller))
    assert f"has no sidecars in Pods of {caller}: a" in line
    assert problems(lambda: run(check, client | admitting(notNamespaces=["other"]), caller)), "it is new"
    assert problems(lambda: run(check, client | admitting(**source), caller, owner=None)), "nothing is deployed"


def test_problem_of_a_client_without_hosts_is_a_warning(check: Check) -> None:
    hosts = {"httpbin": {"domain": "httpbin.example.com", "clients": []}}
    (line,) = warnings(run(check, logistics(pod("a", "dispatcher", sidecar=False)), DISPATCHER, hosts=hosts))
    assert "has no sidecars" in line


def test_callers_in_the_stacks_own_namespace_need_no_check(check: Check) -> None:
    assert run(check, whole("uid-2"), "mtls/own", namespace="mtls")


@pytest.mark.parametrize(
    ("spec", "labels", "refused"),
    [
        ({}, {}, False),
        ({"networkPoliciesEnabled": True}, {}, True),
        ({"networkPoliciesEnabled": True}, {"networking.kyma-project.io/to-egressgateway": "allowed"}, False),
    ],
)
def test_pods_of_callers_need_a_label_where_kyma_makes_network_policies(
    check: Check, spec: dict[str, Any], labels: dict[str, str], refused: bool
) -> None:
    kyma = kyma_modules(spec)
    client = logistics(pod("a", "dispatcher", labels=labels), pod("t", "tracker")) | kyma

    def ask() -> list[Site]:
        return run(check, client, DISPATCHER, target_has=kyma, platform="kyma")

    if not refused:
        assert ask()
        return
    (line,) = problems(ask)
    assert line.startswith("clients.caller.callers[0]: cluster lets Pods reach the egress gateway by label only")
    assert line.endswith("lack: a; label them networking.kyma-project.io/to-egressgateway: allowed")


def test_namespace_is_read_once(check: Check) -> None:
    """Each answer of a list is given once: a second request for it would fail."""
    client = logistics() | {LOGISTICS: [INJECTED]}
    assert run(check, client, "logistics", DISPATCHER)
