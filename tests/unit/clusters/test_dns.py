"""The DNS that Pods of a cluster ask."""

from typing import Any

import pytest

from clusters import dns
from components.istio_gateway import Destination, Pods
from tests.unit.clusters.served import refusal
from tests.unit.facts import DNS, KUBE_DNS, dns_ports, service
from tests.unit.fakes import fake_cluster

NODE_LOCAL = "/apis/apps/v1/namespaces/kube-system/daemonsets/node-local-dns"


COREDNS = Destination(((53, "UDP"), (53, "TCP")), pods=Pods("kube-system", {"k8s-app": "kube-dns"}))


def find_dns(found: dict[str, Any], name: str = "") -> tuple[Destination, ...]:
    return dns.find(fake_cluster(found), name, "clients.a.dns")


def kube_dns(target: int | str = 53, **spec: Any) -> dict[str, Any]:
    addresses = {"clusterIPs": ["10.0.0.10"]}
    return service("kube-system", "kube-dns", {"k8s-app": "kube-dns"}, *dns_ports(target), **(addresses | spec))


def test_dns_is_kube_dns_by_its_addresses_and_by_its_pods() -> None:
    assert find_dns({KUBE_DNS: kube_dns()}) == (DNS, COREDNS), "not its metrics"


@pytest.mark.parametrize("target", [8053, "dns"], ids=["gardener", "name"])
def test_dns_pods_answer_at_the_port_behind_the_service(target: int | str) -> None:
    address, pods = find_dns({KUBE_DNS: kube_dns(target)})
    assert address.ports == ((53, "UDP"), (53, "TCP"))
    assert pods.ports == ((target, "UDP"), (target, "TCP"))


def test_dns_has_an_address_of_each_family() -> None:
    address, _ = find_dns({KUBE_DNS: kube_dns(clusterIPs=["10.0.0.10", "fd00::a"])})
    assert address.addresses == ("10.0.0.10/32", "fd00::a/128")
    without_list = kube_dns(clusterIP="10.0.0.10")
    del without_list["spec"]["clusterIPs"]
    assert find_dns({KUBE_DNS: without_list}) == (DNS, COREDNS)
    assert find_dns({KUBE_DNS: kube_dns(clusterIPs=["None"])}) == (COREDNS,), "an empty rule would let everything out"


def test_dns_of_rke2_and_openshift_is_found() -> None:
    labels = {"k8s-app": "kube-dns", "app.kubernetes.io/name": "rke2-coredns"}
    rke2 = service("kube-system", "rke2-coredns-rke2-coredns", labels, *dns_ports(), clusterIPs=["10.43.0.10"])
    labelled = "/api/v1/namespaces/kube-system/services?labelSelector=k8s-app%3Dkube-dns"
    metrics = service("kube-system", "coredns-metrics", labels, {"port": 9153}, clusterIPs=["10.43.0.11"])
    address, pods = find_dns({labelled: {"items": [metrics, rke2]}})
    assert (address.addresses, pods.pods) == (("10.43.0.10/32",), Pods("kube-system", labels))
    labels = {"dns.operator.openshift.io/daemonset-dns": "default"}
    openshift = service("openshift-dns", "dns-default", labels, *dns_ports("dns"), clusterIPs=["172.30.0.10"])
    address, pods = find_dns({"/api/v1/namespaces/openshift-dns/services/dns-default": openshift})
    assert (address.addresses, pods.pods) == (("172.30.0.10/32",), Pods("openshift-dns", labels))
    assert pods.ports == (("dns", "UDP"), ("dns", "TCP"))


def test_dns_of_the_config_precedes_the_usual_one() -> None:
    own = service("names", "own", {"app": "own"}, *dns_ports(), clusterIPs=["10.0.0.53"])
    address, _ = find_dns({KUBE_DNS: kube_dns(), "/api/v1/namespaces/names/services/own": own}, "names/own")
    assert address.addresses == ("10.0.0.53/32",)


@pytest.mark.parametrize(
    "arguments",
    [
        {"args": ["-localip", "169.254.20.10,10.0.0.10", "-conf", "/etc/Corefile"]},
        {"args": ["--localip=169.254.20.10,10.0.0.10"]},
        {"command": ["sh", "-c", "node-cache -localip 169.254.20.10,10.0.0.10,__PILLAR__ -conf x"]},
    ],
    ids=["gardener", "equals", "shell"],
)
def test_dns_cache_of_the_node_has_the_addresses_in_its_arguments(arguments: dict[str, Any]) -> None:
    labels = {"k8s-app": "node-local-dns"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [arguments]}}
    node_local = {"spec": {"selector": {"matchLabels": labels}, "template": template}}
    *_, cache = find_dns({KUBE_DNS: kube_dns(), NODE_LOCAL: node_local})
    assert cache.addresses == ("169.254.20.10/32", "10.0.0.10/32")
    assert cache.pods == Pods("kube-system", labels)
    assert cache.ports == ((53, "UDP"), (53, "TCP"))


@pytest.mark.parametrize(
    ("found", "name", "message"),
    [
        ({}, "", "has no DNS under a usual name (no kube-system/kube-dns, no Service with"),
        ({KUBE_DNS: kube_dns()}, "names/own", "has no Service names/own"),
        ({KUBE_DNS: service("kube-system", "kube-dns", {"a": "b"})}, "", "has no port 53 in Service kube-system/kube-"),
        (
            {KUBE_DNS: service("kube-system", "kube-dns", {}, *dns_ports())},
            "",
            "has no Pods behind Service kube-system/kube-dns, which has no sel",
        ),
    ],
    ids=["nowhere", "not-there", "no-port", "no-selector"],
)
def test_dns_that_is_missing_is_refused_by_its_key(found: dict[str, Any], name: str, message: str) -> None:
    said = refusal(lambda: find_dns(found, name))
    assert said.startswith(f"kyma-mtls:clients.a.dns: cluster https://target {message}"), said
