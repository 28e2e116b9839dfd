"""Sidecars of callers and workloads: which are asked, and what they lack."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from components.istio_gateway import DOCUMENTED_EGRESS, DOCUMENTED_INGRESS
from proxies.sidecars import Sidecars, sample
from tests.unit.fakes import FakeCluster, fake_cluster
from tests.unit.proxies.recorded import one, recorded

CURL = "/api/v1/namespaces/proxies/pods?fieldSelector=spec.serviceAccountName%3Dcurl&limit=200"
HTTPBIN = "/api/v1/namespaces/proxies/pods?labelSelector=app%3Dhttpbin&limit=200"
POLICIES = "/apis/security.istio.io/v1/namespaces/{}/authorizationpolicies"
GATEWAYS = {"caller": DOCUMENTED_EGRESS, "workload": DOCUMENTED_INGRESS}
CALLERS_POLICY, ROUTE = "callers-proxies-first-bda90b82", "direct-first-through-egress-gateway"
Found = dict[str, Any]


@pytest.fixture
def lack(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that says what the sidecars lack of recorded objects; `cluster` has what was asked."""

    def ask(side: str, found: Found, further: dict[str, Any] | None = None) -> str:
        class Interface:
            def read(self, path: str) -> Any:
                query = parse_qs(urlsplit(path).query)
                part = {"dynamic_listeners": "listeners", "dynamic_route_configs": "routes"}.get(
                    query["resource"][0], "clusters"
                )
                return found["dump"][part]

        @contextmanager
        def admin(_: object, namespace: str, _pod: str) -> Iterator[Interface]:
            assert namespace == "proxies"
            yield Interface()

        monkeypatch.setattr("proxies.replicas.admin", admin)
        ask.cluster = fake_cluster({CURL: pods, HTTPBIN: pods, **(further or {})})  # type: ignore[attr-defined]
        return Sidecars(ask.cluster, GATEWAYS[side]).lack(found["objects"])  # type: ignore[attr-defined]

    pods = {"items": [*recorded("caller")["pods"], *recorded("workload")["pods"]]}
    return ask


def cluster_of(lack: Any) -> FakeCluster:
    found: FakeCluster = lack.cluster
    return found


def test_sidecars_that_have_the_objects_lack_nothing(lack: Any) -> None:
    assert lack("caller", recorded("caller")) == ""
    assert cluster_of(lack).asked == [CURL]
    assert lack("workload", recorded("workload")) == ""
    assert cluster_of(lack).asked.count(HTTPBIN) == len(cluster_of(lack).asked)


def test_caller_without_the_route_or_its_upstream_lacks_it(lack: Any) -> None:
    found = recorded("caller")
    del found["dump"]["routes"]["configs"][0]
    lacking = "has no route for first.proxies.target.test to the egress gateway yet"
    assert lack("caller", found).endswith(lacking)
    found = recorded("caller")
    found["dump"]["clusters"] = {}
    assert lack("caller", found).endswith(lacking)
    found = recorded("caller")
    one(found, "VirtualService", ROUTE)["metadata"]["name"] = "another"
    assert lack("caller", found).endswith(lacking), "the route is another object's"


def test_callers_are_those_whom_the_gateways_policy_admits(lack: Any) -> None:
    found = recorded("caller")
    source = one(found, "AuthorizationPolicy", CALLERS_POLICY)["spec"]["rules"][0]["from"][0]["source"]
    source.update({"notPrincipals": ["*/ns/shop/sa/cart"], "notNamespaces": ["invoices"]})
    assert lack("caller", found) == ""
    assert sorted(cluster_of(lack).asked) == [
        "/api/v1/namespaces/invoices/pods?limit=200",
        "/api/v1/namespaces/shop/pods?fieldSelector=spec.serviceAccountName%3Dcart&limit=200",
    ]


def test_workload_whose_policy_is_older_lacks_it(lack: Any) -> None:
    found = recorded("workload")
    one(found, "AuthorizationPolicy", "second")["spec"]["rules"][0]["to"][0]["operation"]["hosts"] = ["new.test"]
    lacking = "has no AuthorizationPolicy proxies/second as it is now"
    assert lack("workload", found).endswith(lacking)
    found = recorded("workload")
    chains = found["dump"]["listeners"]["configs"][0]["active_state"]["listener"]["filter_chains"]
    filters = [
        each for chain in chains for part in chain["filters"] for each in part["typed_config"].get("http_filters", [])
    ]
    for each in filters:
        each["typed_config"].get("rules", {}).get("policies", {}).pop("ns[proxies]-policy[second]-rule[0]", None)
    assert lack("workload", found).endswith(lacking)


def test_kymas_policies_for_an_api_rule_are_awaited_by_name(lack: Any) -> None:
    found = recorded("workload")
    rule = {
        "kind": "APIRule",
        "metadata": {"name": "orders", "namespace": "mtls"},
        "spec": {"service": {"name": "httpbin", "namespace": "proxies", "port": 8000}},
    }
    found["objects"] = [rule]
    labels = {"apirule.gateway.kyma-project.io/name": "orders", "apirule.gateway.kyma-project.io/namespace": "mtls"}
    selector = {"matchLabels": {"app": "httpbin"}}
    path = POLICIES.format("proxies")

    def made(name: str, owner: dict[str, str]) -> dict[str, Any]:
        metadata = {"name": name, "namespace": "proxies", "labels": owner}
        return {"metadata": metadata, "spec": {"selector": selector, "rules": [{"to": []}]}}

    there, other = made("first", labels), made("absent", {})
    assert lack("workload", found, {path: {"items": [there, other]}}) == ""
    assert cluster_of(lack).asked == [path, HTTPBIN], "a policy of others is no matter of the host"
    says = lack("workload", found, {path: {"items": [there, made("orders-x", labels)]}})
    assert says.endswith("has no AuthorizationPolicy proxies/orders-x as it is now")


def pod(name: str, workload: str = "", containers: str = "app istio-proxy", native: str = "") -> dict[str, Any]:
    owners = [{"name": workload, "controller": True}] if workload else []
    return {
        "metadata": {"name": name, "ownerReferences": owners},
        "spec": {
            "containers": [{"name": each} for each in containers.split()],
            "initContainers": [{"name": each} for each in native.split()],
        },
    }


def test_sample_has_two_pods_of_each_workload_and_sixteen_in_all() -> None:
    many = [pod(f"{workload}-{number}", workload) for workload in "abcdefghijkl" for number in range(3)]
    names = [each["metadata"]["name"] for each in sample(many)]
    assert names == [*(f"{workload}-0" for workload in "abcdefghijkl"), "a-1", "b-1", "c-1", "d-1"]


def test_sample_has_pods_with_a_sidecar_of_either_kind_alone() -> None:
    found = sample([pod("plain", containers="app"), pod("native", containers="app", native="istio-proxy"), pod("bare")])
    assert [each["metadata"]["name"] for each in found] == ["bare", "native"]
