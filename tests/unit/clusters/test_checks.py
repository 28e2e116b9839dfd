"""Checks of all clusters of a stack: what each needs, and that all problems are reported at once."""

from pathlib import Path
from typing import Any

import pytest

import clusters
from clusters import Site
from clusters.facts import ClusterFacts
from components.ownership import Owner
from tests.support.kubeconfigs import write_kubeconfig
from tests.unit.clusters.conftest import Serve
from tests.unit.clusters.served import (
    API_RULES,
    ISTIO_CONFIG,
    ISTIO_CR,
    ISTIO_KIND,
    ORDERS,
    ORDERS_HOST,
    ORDERS_PODS,
    SERVICE_ENTRIES,
    Check,
    apis,
    claiming,
    logistics,
    orders_pods,
    orders_service,
    pod,
    problems,
    warnings,
    whole,
)
from tests.unit.config import read
from tests.unit.facts import (
    EGRESS,
    EGRESS_LABELS,
    INGRESS,
    ISTIOCTL_EGRESS,
    ISTIODS,
    KUBE_DNS,
    WEBHOOKS,
    injector,
    istio,
    workload,
)
from tests.unit.fakes import KUBE_SYSTEM, Answer


def facts(sites: list[Site]) -> dict[str, ClusterFacts]:
    """Return the facts of each site, by its path."""
    return {site.path: site.facts for site in sites}


def test_sites_are_the_target_and_then_the_clients(check: Check) -> None:
    sites = check(whole("uid-1"), whole("uid-2"))
    assert [(site.path, site.client, site.cluster.uid) for site in sites] == [
        ("target", "", "uid-1"),
        ("clients.caller", "caller", "uid-2"),
    ]
    assert [site.gateway_key for site in sites] == ["target.ingressGateway", "clients.caller.egressGateway"]


def test_clients_without_a_target_are_checked_alone(tmp_path: Path, serve: Serve) -> None:
    path = write_kubeconfig(tmp_path / "client", serve(whole("uid")))
    settings = read(platform="istio", clients={"caller": {"kubeconfig": path}})
    sites = clusters.check_sites(settings.model_copy(update={"target": None, "hosts": {}}), Owner(None))
    assert [site.path for site in sites] == ["clients.caller"]


@pytest.mark.parametrize("groups", [{"groups": []}, {"groups": None}, {}, Answer(b"{}", 404)])
def test_problems_of_all_clusters_are_reported_at_once(check: Check, groups: Any) -> None:
    bare = {"/apis": groups}
    assert problems(check, whole("uid-1", **bare), whole("uid-2", **bare)) == [
        "target.kubeconfig: cluster has no Istio; install it (on Kyma: add the Istio module)",
        "clients.caller.kubeconfig: cluster has no Istio; install it (on Kyma: add the Istio module)",
    ]
    assert len(problems(check, {KUBE_SYSTEM: Answer(b"[]")}, {})) == 2


@pytest.mark.parametrize("group", ["networking", "security", "telemetry"])
def test_istio_that_is_too_old_is_refused(check: Check, group: str) -> None:
    old = {"/apis": {"groups": [each for each in apis()["groups"] if each["name"] != f"{group}.istio.io"]}}
    old["/apis"]["groups"] += [each for each in apis(istio="v1beta1")["groups"] if each["name"] == f"{group}.istio.io"]
    lack = f"cluster serves no {group}.istio.io/v1: it needs Istio 1.22 or newer"
    assert problems(check, whole("uid-1", **old), whole("uid-2", **old)) == [
        f"target.kubeconfig: {lack}",
        f"clients.caller.kubeconfig: {lack}",
    ]


def test_cluster_that_two_paths_lead_to_is_refused(check: Check) -> None:
    (line,) = problems(check, whole("uid"), whole("uid"))
    assert line == "clients.caller.kubeconfig: cluster is that of target, too; each needs a cluster of its own"


def test_kyma_needs_its_modules_but_not_yet_its_egress_gateway(check: Check) -> None:
    groups = {"/apis": apis("operator.kyma-project.io", "gateway.kyma-project.io")}
    module = {
        ISTIO_KIND: {"resources": [{"kind": "Istio", "name": "istios", "namespaced": True}]},
        ISTIO_CR: {"metadata": {}},
    }
    target, client = whole("uid-1", **groups), whole("uid-2", **groups, **module)
    del client[EGRESS]
    assert check(target, client, platform="kyma")
    lacks = "clients.caller.kubeconfig: cluster has no Kyma Istio module (no Istio kyma-system/default); add it, or "
    for missing in (ISTIO_CR, ISTIO_KIND):
        del client[missing]
        assert problems(check, whole("uid-1"), client, platform="kyma") == [
            "target.kubeconfig: cluster has no Kyma API Gateway module; add it, or set platform to istio",
            lacks + "set platform to istio",
        ], "the API Gateway module has the same API group"


def test_facts_are_those_of_each_cluster(check: Check) -> None:
    found = facts(check(whole("uid-1"), whole("uid-2")))
    assert found["target"].gateway.name == "istio-system/istio-ingressgateway"
    client = found["clients.caller"]
    assert client.gateway == ISTIOCTL_EGRESS
    assert client.injection == {"istio-injection": "enabled"}
    assert [each.addresses for each in client.allowed_destinations] == [("10.0.0.10/32",), (), ()]
    assert client.allowed_destinations[-1] == ISTIODS
    assert not client.access_log_configured


def test_facts_follow_the_config(check: Check) -> None:
    logs = {ISTIO_CONFIG: {"data": {"mesh": "accessLogFile: /dev/stdout"}}}
    canary = istio(injector(), injector("canary"))
    client = whole("uid-2", **canary, **logs)
    del client[KUBE_DNS]
    wanted = {"revision": "canary", "networkPolicy": "none"}
    found = facts(check(whole("uid-1"), client, client=wanted))["clients.caller"]
    assert found.injection == {"istio.io/rev": "canary"}
    assert found.allowed_destinations == (), "without a NetworkPolicy, the stack does not need the cluster's DNS"
    assert found.access_log_configured


def test_problems_of_one_cluster_are_reported_at_once(check: Check) -> None:
    client = whole("uid-2")
    del client[KUBE_DNS], client[EGRESS]
    keys = [line.partition(":")[0] for line in problems(check, whole("uid-1"), client, client={"revision": "canary"})]
    assert keys == [f"clients.caller.{key}" for key in ("egressGateway", "dns", "revision")]


def test_claims_are_reported_beside_all_other_problems(check: Check) -> None:
    target = whole("uid-1", **claiming(API_RULES))
    client = whole("uid-2", **claiming(SERVICE_ENTRIES, owner="0a1b"))
    del client[KUBE_DNS]
    taken = "hosts.httpbin.domain: cluster has httpbin.example.com already, in {}; choose another domain, or remove it "
    assert problems(check, target, client, gatewayMode="selfSigned")[:3] == [
        "gatewayDomain: cluster reaches its ingress gateway by no address; set a domain",
        taken.format("APIRule shop/httpbin") + "there",
        taken.format("ServiceEntry shop/httpbin of another stack") + "there",
    ]
    assert len(problems(check, target, client, gatewayMode="selfSigned")) == 4


def test_objects_with_the_stacks_mark_are_no_claims(check: Check) -> None:
    own = whole("uid-2", **claiming(SERVICE_ENTRIES, owner="0a1b"))
    assert warnings(check(whole("uid-1"), own, owner="0a1b")) == []
    later = claiming(SERVICE_ENTRIES, owner="0a1b")
    later[SERVICE_ENTRIES]["items"] += claiming(SERVICE_ENTRIES)[SERVICE_ENTRIES]["items"]
    later[SERVICE_ENTRIES]["items"][-1]["metadata"]["name"] = "later"
    (line,) = warnings(check(whole("uid-1"), whole("uid-2", **later), owner="0a1b"))
    assert "in ServiceEntry shop/later; " in line


def test_gateway_without_its_service_is_refused(check: Check) -> None:
    target, client = whole("uid-1"), whole("uid-2")
    del target[INGRESS], client[EGRESS]
    assert problems(check, target, client) == [
        "target.ingressGateway: cluster has no Service istio-system/istio-ingressgateway",
        "clients.caller.egressGateway: cluster has no Service istio-system/istio-egressgateway",
    ]


def test_injector_is_needed_for_pods_with_sidecars_only(check: Check) -> None:
    bare: dict[str, Any] = {WEBHOOKS: {"items": []}}
    target = whole("uid-1", **bare, **{ORDERS: orders_service(8080), ORDERS_PODS: orders_pods()})
    served = {"orders": ORDERS_HOST}
    client_cluster = logistics(pod("a")) | bare
    callers = {"callers": ["logistics"], "networkPolicy": "none"}
    assert check(target, client_cluster, hosts=served, client=callers)
    for client in ({}, {"networkPolicy": "none"}, {"callers": ["logistics"]}):
        (line,) = problems(check, target, client_cluster, hosts=served, client=client)
        assert line.startswith("clients.caller.revision: cluster injects no sidecars into namespaces ")
    (line,) = problems(check, target, whole("uid-2"))
    assert line.startswith("target.revision: cluster injects no sidecars into namespaces ")


@pytest.mark.parametrize(("replicas", "warned"), [(1, True), (2, False)])
def test_single_pod_of_the_egress_gateway_is_a_warning_for_own_callers(
    check: Check, replicas: int, warned: bool
) -> None:
    gateway = workload(EGRESS_LABELS, "egress")
    gateway["spec"]["replicas"] = replicas
    client = logistics() | {"/apis/apps/v1/namespaces/istio-system/deployments": {"items": [gateway]}}
    lines = warnings(check(whole("uid-1"), client, client={"callers": ["logistics"]}))
    assert ["runs one Pod of egress gateway istio-system/istio-egressgateway" in line for line in lines] == [
        True
    ] * warned
    assert warnings(check(whole("uid-1"), client)) == [], "the demo may wait"
