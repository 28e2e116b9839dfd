"""Likely causes of a rejected listener: claims to a host on the listener of the stack's Gateways."""

from typing import Any

import pytest

from components.istio_gateway import DOCUMENTED_EGRESS, DOCUMENTED_INGRESS
from components.ownership import OWNER_LABEL
from proxies.causes import causes
from settings import ConfigError
from tests.unit.facts import INGRESS_LABELS
from tests.unit.fakes import FakeCluster, fake_cluster

GATEWAYS = "/apis/networking.istio.io/v1/gateways"
INGRESSES, CLASSES = "/apis/networking.k8s.io/v1/ingresses", "/apis/networking.k8s.io/v1/ingressclasses"


def gateway(
    name: str, port: int, *hosts: str, owner: str = "", selector: dict[str, str] = INGRESS_LABELS
) -> dict[str, Any]:
    labels = {OWNER_LABEL: owner} if owner else {}
    servers = [{"port": {"number": port, "name": "x", "protocol": "HTTPS"}, "hosts": list(hosts)}]
    return {
        "metadata": {"name": name, "namespace": "shop", "labels": labels},
        "spec": {"selector": selector, "servers": servers},
    }


def ingress(name: str, *hosts: str, annotated: str = "", named: str = "") -> dict[str, Any]:
    annotations = {"kubernetes.io/ingress.class": annotated} if annotated else {}
    spec = {"tls": [{"hosts": list(hosts)}]} | ({"ingressClassName": named} if named else {})
    return {"metadata": {"name": name, "namespace": "shop", "annotations": annotations}, "spec": spec}


def cluster(*gateways: dict[str, Any], ingresses: list[dict[str, Any]] | None = None) -> FakeCluster:
    classes = [{"metadata": {"name": "mesh"}, "spec": {"controller": "istio.io/ingress-controller"}}]
    return fake_cluster(
        {GATEWAYS: {"items": list(gateways)}, INGRESSES: {"items": ingresses or []}, CLASSES: {"items": classes}}
    )


def test_causes_are_the_objects_outside_the_stack_that_serve_its_hosts() -> None:
    found = cluster(
        gateway("own", 443, "./a.test", owner="0a1b"),
        gateway("late", 8443, "a.test", "b.test"),
        gateway("other-stack", 443, "./a.test", owner="ffff"),
        gateway("plain", 80, "a.test"),
        gateway("elsewhere", 8443, "a.test", selector={"istio": "other"}),
        ingresses=[
            ingress("annotated", "a.test", annotated="istio"),
            ingress("named", "a.test", named="mesh"),
            ingress("of-nginx", "a.test", named="nginx"),
            ingress("of-default", "a.test"),
        ],
    )
    assert causes(found, DOCUMENTED_INGRESS, {"a.test"}, "0a1b") == [
        "Gateway shop/late serves a.test on port 8443",
        "Gateway shop/other-stack serves a.test on port 443",
        "Ingress shop/annotated serves a.test on port 443",
        "Ingress shop/named serves a.test on port 443",
    ]


def test_causes_without_a_claim_are_those_that_serve_one_host_by_two_numbers() -> None:
    found = cluster(
        gateway("own", 443, "./a.test", owner="0a1b"),
        gateway("own-second", 443, "./b.test", owner="0a1b"),
        gateway("late", 8443, "*/a.test", "c.test"),
        gateway("alone", 8443, "d.test"),
        gateway("one", 443, "e.test"),
        gateway("two", 8443, "e.test"),
    )
    assert causes(found, DOCUMENTED_INGRESS, {"b.test"}, "0a1b") == [
        "Gateway shop/late serves a.test on port 8443",
        "Gateway shop/one serves e.test on port 443",
        "Gateway shop/two serves e.test on port 8443",
    ]
    assert causes(cluster(), DOCUMENTED_INGRESS, {"b.test"}, "0a1b") == []


def test_ingresses_are_no_causes_at_an_egress_gateway() -> None:
    found = cluster(ingresses=[ingress("annotated", "a.test", annotated="istio")])
    assert causes(found, DOCUMENTED_EGRESS, {"a.test"}, None) == []
    assert INGRESSES not in found.asked


def test_gateways_are_named_where_the_user_may_not_list_ingresses(monkeypatch: pytest.MonkeyPatch) -> None:
    read = FakeCluster.read

    def without_ingresses(self: FakeCluster, path: str, accept: str = "application/json") -> Any:
        if path in {INGRESSES, CLASSES}:
            raise ConfigError("403 Forbidden")
        return read(self, path, accept)

    found = cluster(gateway("late", 8443, "a.test"))
    monkeypatch.setattr(FakeCluster, "read", without_ingresses)
    assert causes(found, DOCUMENTED_INGRESS, {"a.test"}, "0a1b") == ["Gateway shop/late serves a.test on port 8443"]


def test_gateway_that_names_no_port_or_host_is_no_cause() -> None:
    bare = gateway("late", 8443, "a.test")
    bare["spec"]["servers"] = [{"hosts": ["a.test"]}, {"port": None}, {"port": {"number": 8443}}]
    empty = gateway("empty", 443)
    empty["spec"]["servers"] = None
    assert causes(cluster(bare, empty), DOCUMENTED_INGRESS, {"a.test"}, None) == []
