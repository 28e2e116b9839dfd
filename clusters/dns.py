"""The DNS that Pods of a cluster ask: a Service, its Pods, and the cache on each node."""

from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from itertools import pairwise
from typing import Any

from clusters.cluster import Cluster
from components.istio_gateway import Destination, Pods
from components.namespaced_name import NamespacedName

_KUBE_SYSTEM = "/api/v1/namespaces/kube-system/services"
_OPENSHIFT = "/api/v1/namespaces/openshift-dns/services/dns-default"
_NODE_LOCAL = "/apis/apps/v1/namespaces/kube-system/daemonsets/node-local-dns"
_PORT = 53
_ANY_PORTS = ((_PORT, "UDP"), (_PORT, "TCP"))


def find(cluster: Cluster, name: str, key: str) -> tuple[Destination, ...]:
    """Return where the cluster's DNS answers: behind the Service NAMESPACE/NAME, or the usual ones if `name` is empty.

    Raise ConfigError, naming the key, if the cluster has no such Service.
    """
    services = _named(cluster, name, key) if name else _usual(cluster)
    if not services:
        tried = "no kube-system/kube-dns, no Service with k8s-app=kube-dns, no openshift-dns/dns-default"
        raise cluster.problem(f"has no DNS under a usual name ({tried}); set this to its Service, NAMESPACE/NAME", key)
    destinations = [each for service in services for each in _service(cluster, service, key)]
    node_local = cluster.read(_NODE_LOCAL)
    return (*destinations, *([_node_local(node_local)] if node_local else []))


def _named(cluster: Cluster, name: str, key: str) -> list[dict[str, Any]]:
    found = cluster.service(NamespacedName.parse(name))
    if not found:
        raise cluster.problem(f"has no Service {name}", key)
    return [found]


def _usual(cluster: Cluster) -> list[dict[str, Any]]:
    usual = cluster.read(f"{_KUBE_SYSTEM}/kube-dns")
    if not usual:
        labelled = cluster.items(_KUBE_SYSTEM, {"k8s-app": "kube-dns"})
        if answering := [service for service in labelled if _ports(service)]:  # not those for metrics
            return sorted(answering, key=lambda service: str(service["metadata"]["name"]))
        usual = cluster.read(_OPENSHIFT)
    return [usual] if usual else []


def _service(cluster: Cluster, service: Mapping[str, Any], key: str) -> Iterator[Destination]:
    """Yield a Service's addresses and its Pods: network plugins apply policies to the former or to the latter."""
    metadata, spec = service["metadata"], service["spec"]
    called = f"Service {NamespacedName(metadata['namespace'], metadata['name'])}"
    ports = _ports(service)
    if not ports:
        raise cluster.problem(f"has no port {_PORT} in {called}", key)
    if not spec.get("selector"):
        raise cluster.problem(f"has no Pods behind {called}, which has no selector", key)
    given = spec.get("clusterIPs") or [spec.get("clusterIP", "")]
    if addresses := tuple(_block(address) for address in given if _is_address(address)):
        yield Destination(tuple((_PORT, _protocol(port)) for port in ports), addresses)
    behind = dict.fromkeys((port.get("targetPort", _PORT), _protocol(port)) for port in ports)
    yield Destination(tuple(behind), pods=Pods(metadata["namespace"], spec["selector"]))


def _node_local(daemon_set: Mapping[str, Any]) -> Destination:
    """Return the DNS cache on each node, which answers at the addresses in its arguments.

    See https://kubernetes.io/docs/tasks/administer-cluster/nodelocaldns/.
    """
    spec = daemon_set["spec"]
    words = [
        word
        for container in spec["template"]["spec"]["containers"]
        for argument in (*container.get("command", []), *container.get("args", []))
        for word in argument.replace("=", " ").split()
    ]
    listed = [value for flag, value in pairwise(words) if flag.lstrip("-") == "localip"]
    addresses = dict.fromkeys(address for value in listed for address in value.split(",") if _is_address(address))
    labels = spec["selector"].get("matchLabels") or spec["template"]["metadata"]["labels"]
    return Destination(_ANY_PORTS, tuple(map(_block, addresses)), Pods("kube-system", labels))


def _ports(service: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [port for port in service["spec"].get("ports", []) if port["port"] == _PORT]


def _protocol(port: Mapping[str, Any]) -> str:
    return str(port.get("protocol", "TCP"))


def _block(address: str) -> str:
    return f"{address}/{ip_address(address).max_prefixlen}"


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
