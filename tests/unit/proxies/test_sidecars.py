"""Sidecars of callers and workloads: which are asked, and what they lack."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from components.istio_gateway import DOCUMENTED_EGRESS, DOCUMENTED_INGRESS
from proxies.forward import Forbidden, Unreadable
from proxies.sidecars import Sidecars, sample
from tests.unit.fakes import fake_cluster
from tests.unit.proxies.recorded import one, recorded

CURL = "/api/v1/namespaces/proxies/pods?fieldSelector=spec.serviceAccountName%3Dcurl&limit=200"
HTTPBIN = "/api/v1/namespaces/proxies/pods?labelSelector=app%3Dhttpbin&limit=200"
GATEWAYS = {"caller": DOCUMENTED_EGRESS, "workload": DOCUMENTED_INGRESS}
CALLERS_POLICY, ROUTE = "callers-proxies-first-bda90b82", "direct-first-through-egress-gateway"
Found = dict[str, Any]


@dataclass
class Asked:
    """Sidecars that have recorded dumps.

    trouble: raised by each of them
    paths: the requests to the API server, of the last question
    """

    trouble: Exception | None = None
    paths: list[str] = field(default_factory=list)

    def lack(self, side: str, found: Found, further: Mapping[str, Any] | None = None) -> str:
        """Return what the sidecars lack of recorded objects; `further` answers are the API server's."""
        self.dump = found["dump"]
        pods = {path: {"items": recorded(name)["pods"]} for path, name in ((CURL, "caller"), (HTTPBIN, "workload"))}
        cluster = fake_cluster({**pods, **(further or {})})
        self.paths = cluster.asked
        return Sidecars(cluster, GATEWAYS[side]).lack(found["objects"])

    def read(self, path: str) -> Any:
        """Return a part of the dump."""
        resource = parse_qs(urlsplit(path).query)["resource"][0]
        part = {"dynamic_listeners": "listeners", "dynamic_route_configs": "routes"}.get(resource, "clusters")
        return self.dump[part]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    asked = Asked()

    @contextmanager
    def admin(_: object, namespace: str, _pod: str) -> Iterator[Asked]:
        assert namespace == "proxies"
        if asked.trouble:
            raise asked.trouble
        yield asked

    monkeypatch.setattr("proxies.replicas.admin", admin)
    return asked


def test_sidecars_that_have_the_objects_lack_nothing(asked: Asked) -> None:
    assert asked.lack("caller", recorded("caller")) == ""
    assert asked.paths == [CURL]
    assert asked.lack("workload", recorded("workload")) == ""
    assert set(asked.paths) == {HTTPBIN}


def test_caller_without_the_route_or_its_upstream_lacks_it(asked: Asked) -> None:
    lacking = "Pod proxies/curl-69dc77ff86-j62hq has no route for first.proxies.target.test to the egress gateway yet"
    found = recorded("caller")
    del found["dump"]["routes"]["configs"][0]
    assert asked.lack("caller", found) == lacking
    found = recorded("caller")
    found["dump"]["clusters"] = {}
    assert asked.lack("caller", found) == lacking
    found = recorded("caller")
    one(found, "VirtualService", ROUTE)["metadata"]["name"] = "another"
    assert asked.lack("caller", found) == lacking, "the route is another object's"


def test_callers_are_those_whom_the_gateways_policy_admits(asked: Asked) -> None:
    found = recorded("caller")
    source = one(found, "AuthorizationPolicy", CALLERS_POLICY)["spec"]["rules"][0]["from"][0]["source"]
    source.update({"notPrincipals": ["*/ns/shop/sa/cart"], "notNamespaces": ["invoices"]})
    assert asked.lack("caller", found) == ""
    assert sorted(asked.paths) == [
        "/api/v1/namespaces/invoices/pods?limit=200",
        "/api/v1/namespaces/shop/pods?fieldSelector=spec.serviceAccountName%3Dcart&limit=200",
    ]


def test_workload_whose_policy_is_older_lacks_it(asked: Asked) -> None:
    lacking = "Pod proxies/httpbin-fb6469b96-qj6c8 has no AuthorizationPolicy proxies/second as it is now"
    found = recorded("workload")
    one(found, "AuthorizationPolicy", "second")["spec"]["rules"][0]["to"][0]["operation"]["hosts"] = ["new.test"]
    assert asked.lack("workload", found) == lacking
    found = recorded("workload")
    for policies in policies_of(found):
        policies.pop("ns[proxies]-policy[second]-rule[0]", None)
    assert asked.lack("workload", found) == lacking


def policies_of(found: Found) -> Iterator[dict[str, Any]]:
    for chain in found["dump"]["listeners"]["configs"][0]["active_state"]["listener"]["filter_chains"]:
        for part in chain["filters"]:
            for each in part["typed_config"].get("http_filters", []):
                yield each["typed_config"].get("rules", {}).get("policies", {})


def test_kymas_policies_for_an_api_rule_are_awaited_by_name(asked: Asked) -> None:
    found = recorded("workload")
    service = {"name": "httpbin", "namespace": "proxies", "port": 8000}
    rule = {"kind": "APIRule", "metadata": {"name": "orders", "namespace": "mtls"}, "spec": {"service": service}}
    found["objects"] = [rule]
    labels = {"apirule.gateway.kyma-project.io/name": "orders", "apirule.gateway.kyma-project.io/namespace": "mtls"}
    path = "/apis/security.istio.io/v1/namespaces/proxies/authorizationpolicies"

    def made(name: str, owner: dict[str, str]) -> dict[str, Any]:
        spec = {"selector": {"matchLabels": {"app": "httpbin"}}, "rules": [{"to": []}]}
        return {"metadata": {"name": name, "namespace": "proxies", "labels": owner}, "spec": spec}

    there, other = made("first", labels), made("absent", {})
    assert asked.lack("workload", found, {path: {"items": [there, other]}}) == ""
    assert set(asked.paths) == {path, HTTPBIN}, "a policy of others is no matter of the host"
    says = asked.lack("workload", found, {path: {"items": [there, made("orders-x", labels)]}})
    assert says.endswith("has no AuthorizationPolicy proxies/orders-x as it is now")


@pytest.mark.parametrize("kind", [Forbidden, Unreadable])
def test_sidecar_that_cannot_be_asked_is_named_with_its_namespace(asked: Asked, kind: type[Unreadable]) -> None:
    asked.trouble = kind("403")
    with pytest.raises(kind, match=r"^namespace proxies: Pod httpbin-fb6469b96-qj6c8: 403$"):
        asked.lack("workload", recorded("workload"))


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
