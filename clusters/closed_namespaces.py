"""What the NetworkPolicies of networkPolicy callers do to the Pods that run in the callers' namespaces: warnings."""

from collections.abc import Iterable, Iterator

from clusters import pods
from clusters.caller_namespaces import CallerNamespace
from clusters.cluster import Cluster
from settings import Client, NetworkPolicy


def warnings(cluster: Cluster, client: Client, namespaces: Iterable[CallerNamespace]) -> Iterator[str]:
    """Yield warnings about Pods that a new NetworkPolicy will close in, and about those that none can hold."""
    if client.network_policy != NetworkPolicy.CALLERS:
        return
    for namespace in namespaces:
        for message in _messages(client, namespace):
            yield str(cluster.problem(message, f"{cluster.access.path}.networkPolicy"))


def _messages(client: Client, namespace: CallerNamespace) -> Iterator[str]:
    calling = {pods.name(pod) for caller in client.callers or () for pod in namespace.pods_of(caller)}
    on_host = [pod for pod in namespace.pods if pods.is_on_host(pod)]
    further = [pod for pod in namespace.pods if pods.name(pod) not in calling and pod not in on_host]
    if further and not namespace.is_closed:
        yield (
            f"will close in Pods of namespace {namespace.name} that are no callers, {len(further)} in all: "
            f"{pods.listed(further)}; they will reach their own namespace, DNS, istiod, the egress gateway and the "
            "allowedDestinations only"
        )
    if on_host:
        yield (
            f"has Pods with hostNetwork in namespace {namespace.name}, which no NetworkPolicy holds: "
            f"{pods.listed(on_host)}"
        )
