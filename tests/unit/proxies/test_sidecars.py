"""Sidecars of callers and workloads: which are asked, and what they lack."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from clusters import Refused
from components.istio_gateway import DOCUMENTED_EGRESS, DOCUMENTED_INGRESS
from proxies.forward import Forbidden, Unreadable
from proxies.sidecars import Sidecars, sample
from tests.unit.fakes import FakeCluster, fake_cluster
from tests.unit.proxies.recorded import one, recorded

RUNNING = "status.phase%3DRunning&limit=200"
CURL = f"/api/v1/namespaces/proxies/pods?fieldSelector=spec.serviceAccountName%3Dcurl%2C{RUNNING}"
HTTPBIN = f"/api/v1/namespaces/proxies/pods?labelSelector=app%3Dhttpbin&fieldSelector={RUNNING}"
POLICIES = "/apis/security.istio.io/v1/namespaces/proxies/authorizationpolicies"
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
        return self.sidecars(side, found, further).lack(found["objects"])

    def sidecars(self, side: str, found: Found, further: Mapping[str, Any] | None = None) -> Sidecars:
        """Return the sidecars that have a recorded dump."""
        self.dump = found["dump"]
        pods = {path: {"items": recorded(name)["pods"]} for path, name in ((CURL, "caller"), (HTTPBIN, "workload"))}
        cluster = fake_cluster({**pods, **(further or {})})
        self.paths = cluster.asked
        return Sidecars(cluster, GATEWAYS[side])

    def read(self, path: str, *_: object) -> Any:
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


def of_api_rule(*policies: str) -> tuple[Found, dict[str, Any]]:
    """Return a recorded workload with an APIRule, and the policies that its cluster has: one is another object's."""
    found = recorded("workload")
    service = {"name": "httpbin", "namespace": "proxies", "port": 8000}
    found["objects"] = [
        {"kind": "APIRule", "metadata": {"name": "orders", "namespace": "mtls"}, "spec": {"service": service}}
    ]
    labels = {"apirule.gateway.kyma-project.io/name": "orders", "apirule.gateway.kyma-project.io/namespace": "mtls"}
    spec = {"selector": {"matchLabels": {"app": "httpbin"}}, "rules": [{"to": []}]}
    made = [{"metadata": {"name": name, "namespace": "proxies", "labels": labels}, "spec": spec} for name in policies]
    other = {"metadata": {"name": "absent", "namespace": "proxies"}, "spec": spec}
    return found, {POLICIES: {"items": [*made, other]}}


def test_sidecars_that_have_the_objects_lack_nothing(asked: Asked) -> None:
    assert asked.lack("caller", recorded("caller")) == ""
    assert asked.paths == [CURL]
    assert asked.lack("workload", *of_api_rule("first", "second")) == ""
    assert set(asked.paths) == {POLICIES, HTTPBIN}, "a policy outside the stack is no matter of the host"


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
        f"/api/v1/namespaces/invoices/pods?fieldSelector={RUNNING}",
        f"/api/v1/namespaces/shop/pods?fieldSelector=spec.serviceAccountName%3Dcart%2C{RUNNING}",
    ]


def test_callers_of_several_hosts_are_asked_once_for_all(asked: Asked) -> None:
    found = recorded("caller")
    route = one(found, "VirtualService", ROUTE)
    (rule,) = route["spec"]["http"]

    def of(host: str) -> list[dict[str, Any]]:
        to = {"host": f"{host}.proxies.kyma-mtls.internal", "port": {"number": 443}}
        spec = {**route["spec"], "http": [{**rule, "route": [{"destination": to}]}]}
        return [{**route, "spec": spec}, *(each for each in found["objects"] if each["kind"] == "AuthorizationPolicy")]

    sidecars = asked.sidecars("caller", found)
    assert all(sidecars.lack(of(host)) for host in ("first", "second"))
    assert len(sidecars._known) == 1, "hosts share the answers of a Pod"


def test_workload_lacks_a_policy_that_kyma_made_for_an_api_rule(asked: Asked) -> None:
    says = asked.lack("workload", *of_api_rule("first", "orders-x"))
    assert says == "Pod proxies/httpbin-fb6469b96-qj6c8 has no AuthorizationPolicy proxies/orders-x yet"


def test_workloads_without_an_api_rule_are_not_asked(asked: Asked) -> None:
    found, _ = of_api_rule()
    found["objects"][0]["kind"] = "VirtualService"
    found["objects"][0]["spec"] = {"hosts": ["a.test"], "gateways": ["mtls/a"]}
    assert asked.lack("workload", found) == ""
    assert asked.paths == []


def test_policies_that_the_user_may_not_list_are_named(monkeypatch: pytest.MonkeyPatch, asked: Asked) -> None:
    def read(*_: object) -> None:
        raise Refused("cluster https://target refuses GET /apis: 403 Forbidden")

    monkeypatch.setattr(FakeCluster, "read", read)
    with pytest.raises(Forbidden, match=r"^the API server refuses to list AuthorizationPolicies in proxies: 403$"):
        asked.lack("workload", *of_api_rule())


@pytest.mark.parametrize("kind", [Forbidden, Unreadable])
def test_sidecar_that_cannot_be_asked_is_named_with_its_namespace(asked: Asked, kind: type[Unreadable]) -> None:
    asked.trouble = kind("403")
    with pytest.raises(kind, match=r"^namespace proxies: Pod httpbin-fb6469b96-qj6c8: 403$"):
        asked.lack("workload", *of_api_rule("first"))


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
    found = sample(
        [pod("plain", containers="app"), pod("native", containers="app", native="istio-proxy"), pod("older")]
    )
    assert [each["metadata"]["name"] for each in found] == ["native", "older"]


def test_sample_has_no_injected_gateway() -> None:
    assert sample([pod("gateway", containers="istio-proxy")]) == []
