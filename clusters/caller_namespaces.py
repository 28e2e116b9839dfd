"""Namespaces of a client's callers, and the Pods that run there."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from clusters import pods
from clusters.cluster import Cluster
from clusters.concurrency import parallel
from clusters.pods import Pod
from components.ownership import OWNER_LABEL

_INJECT = "sidecar.istio.io/inject"


@dataclass(frozen=True)
class CallerNamespace:
    """A namespace of callers.

    labels: None if the cluster has no such namespace
    pods: that run in it
    is_closed: whether a NetworkPolicy of the stack closes it already
    """

    name: str
    labels: Mapping[str, str] | None = None
    pods: Sequence[Pod] = ()
    is_closed: bool = False

    def pods_of(self, caller: str) -> list[Pod]:
        """Return the Pods of a caller, NAMESPACE or NAMESPACE/SERVICEACCOUNT; none of another namespace.

        Pods that refuse a sidecar, or cannot have one, are no callers, unless their service account is named.
        """
        namespace, _, account = caller.partition("/")
        if namespace != self.name:
            return []
        if not account:
            return [pod for pod in self.pods if not (_refuses_sidecar(pod) or pods.is_on_host(pod))]
        return [pod for pod in self.pods if pod["spec"].get("serviceAccountName", "default") == account]


def read(cluster: Cluster, names: Sequence[str], mark: str | None) -> dict[str, CallerNamespace]:
    """Return what a cluster has of these namespaces, by name.

    mark: of the stack whose NetworkPolicies may close them; None if none does
    """
    calls: list[Callable[[], Any]] = []
    for name in names:
        policies = f"/apis/networking.k8s.io/v1/namespaces/{name}/networkpolicies"
        calls += [
            partial(cluster.read, f"/api/v1/namespaces/{name}"),
            partial(pods.running, cluster, name),
            partial(cluster.items, policies, {OWNER_LABEL: mark}) if mark else tuple,
        ]
    answers = iter(parallel(calls))
    return {
        name: CallerNamespace(name, (found["metadata"].get("labels") or {}) if found else None, running, bool(closing))
        for name, found, running, closing in zip(names, answers, answers, answers, strict=True)
    }


def _refuses_sidecar(pod: Pod) -> bool:
    return "false" in (pods.label(pod, _INJECT), pods.annotation(pod, _INJECT))
