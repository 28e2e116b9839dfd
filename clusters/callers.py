"""Checks of a client's callers: their namespaces, and the sidecars and labels of their Pods.

A problem of a caller that the egress gateway admits already is a warning: it must not block a `pulumi up`, which may
revoke a client.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clusters import caller_namespaces, capture, closed_namespaces, kyma_istio, pods
from clusters.caller_namespaces import CallerNamespace
from clusters.cluster import Cluster
from clusters.control_plane import Injector
from clusters.pods import Pod
from components.istio_gateway import DOCUMENTED_EGRESS, IstioGateway
from components.namespaced_name import NamespacedName
from components.ownership import OWNER_LABEL, Owner
from settings import ConfigError, NetworkPolicy, Settings

_PRINCIPAL = re.compile(r"\*/ns/([^/]+)/sa/([^/]+)")


@dataclass(frozen=True)
class CallerChecks:
    """Checks of the callers of one client.

    client: its name
    gateway: its egress gateway
    istio: the Istio CR of platform kyma; None on platform istio
    """

    settings: Settings
    client: str
    cluster: Cluster
    gateway: IstioGateway
    injectors: Sequence[Injector]
    istio: Mapping[str, Any] | None

    def warnings(self, owner: Owner) -> tuple[str, ...]:
        """Return warnings; raise ConfigError with the problems of callers that the egress gateway does not admit yet.

        The demo caller, and callers in the stack's own namespace, need no check.
        """
        client = self.settings.clients[self.client]
        names = [name for name in client.caller_namespaces if name != self.settings.namespace]
        if not names:
            return ()
        namespaces = caller_namespaces.read(self.cluster, names, owner.mark if self._closes else None)
        errors: dict[str, list[str]] = {}
        warnings = list(closed_namespaces.warnings(self.cluster, client, namespaces.values()))
        for index, caller in enumerate(client.callers or ()):
            if namespace := namespaces.get(caller.partition("/")[0]):
                key = f"{self.cluster.access.path}.callers[{index}]"
                errors[caller] = [str(self.cluster.problem(each, key)) for each in self._problems(caller, namespace)]
                warnings += [str(self.cluster.problem(each, key)) for each in self._doubts(caller, namespace)]
        admitted = self._admitted(owner) if any(errors.values()) else frozenset()
        if refused := [line for caller, lines in errors.items() if caller not in admitted for line in lines]:
            raise ConfigError(*refused)
        return (*(line for lines in errors.values() for line in lines), *warnings)

    @property
    def _closes(self) -> bool:
        return self.settings.clients[self.client].network_policy == NetworkPolicy.CALLERS

    def _problems(self, caller: str, namespace: CallerNamespace) -> Iterator[str]:
        """Yield what keeps the Pods of a caller from calling."""
        if namespace.labels is None:
            if self._closes:  # its NetworkPolicy could not be made
                yield f"has no namespace {namespace.name}; correct the name, or make the namespace first"
            return
        calling = namespace.pods_of(caller)
        if bare := [pod for pod in calling if not pods.has_sidecar(pod)]:
            yield (
                f"has no sidecars in Pods of {caller}: {pods.listed(bare)}; their requests would not leave by the "
                "egress gateway: label their namespace for injection, and restart them"
            )
        yield from _bypassing(caller, calling)
        needs_label = kyma_istio.has_network_policies(self.istio) and self.gateway.name == DOCUMENTED_EGRESS.name
        bare = [pod for pod in calling if pods.label(pod, kyma_istio.TO_EGRESS_GATEWAY) != kyma_istio.ALLOWED]
        if needs_label and bare:
            yield (
                "lets Pods reach the egress gateway by label only (networkPoliciesEnabled of the Istio CR), which Pods "
                f"of {caller} lack: {pods.listed(bare)}; label them {kyma_istio.TO_EGRESS_GATEWAY}: "
                f"{kyma_istio.ALLOWED}"
            )

    def _doubts(self, caller: str, namespace: CallerNamespace) -> Iterator[str]:
        """Yield warnings about what may keep Pods of a caller from calling, those to come included."""
        if namespace.labels is None:
            if not self._closes:
                yield f"has no namespace {namespace.name} yet; is the name right?"
            return
        if calling := namespace.pods_of(caller):
            yield from _excluding(caller, calling)
            return
        labels = {**namespace.labels, "kubernetes.io/metadata.name": namespace.name}
        if not any(injector.takes(labels) for injector in self.injectors):
            yield (
                f"injects no sidecars into namespace {namespace.name}, so that requests of its Pods would not leave by "
                "the egress gateway; label it for injection (istio-injection: enabled, or istio.io/rev)"
            )

    def _admitted(self, owner: Owner) -> frozenset[str]:
        """Return the callers that the stack's policies of the egress gateway admit; all if the client calls no host."""
        if not self.settings.hosts_of(self.client):
            return frozenset(self.settings.clients[self.client].callers or ())
        if owner.mark is None:
            return frozenset()
        path = f"/apis/security.istio.io/v1/namespaces/{self.gateway.namespace}/authorizationpolicies"
        sources = [
            each["source"]
            for policy in self.cluster.items(path, {OWNER_LABEL: owner.mark})
            for rule in policy.get("spec", {}).get("rules", ())
            for each in rule.get("from", ())
        ]
        principals = [_PRINCIPAL.fullmatch(name) for source in sources for name in source.get("notPrincipals", ())]
        accounts = [str(NamespacedName(*found.groups())) for found in principals if found]
        return frozenset([*accounts, *(name for source in sources for name in source.get("notNamespaces", ()))])


def _bypassing(caller: str, calling: Iterable[Pod]) -> Iterator[str]:
    """Yield a problem if requests at port 80 pass by the sidecars of a caller's Pods."""
    found = {pods.name(pod): by for pod in calling if pods.has_sidecar(pod) and (by := capture.bypass(pod))}
    if found:
        names = pods.listed(pod for pod in calling if pods.name(pod) in found)
        yield (
            f"has sidecars that take no requests at port 80 in Pods of {caller}: {names}; their requests would leave "
            f"in plain HTTP: take back {' and '.join(sorted(set(found.values())))}, and restart them"
        )


def _excluding(caller: str, calling: Iterable[Pod]) -> Iterator[str]:
    """Yield a warning if the sidecars of a caller's Pods leave out addresses that a host may have."""
    found = [(pod, capture.excluded_ranges(pod)) for pod in calling]
    if ranges := sorted(set().union(*(excluded for _, excluded in found))):
        yield (
            f"has sidecars that take no requests to {', '.join(ranges)} in Pods of {caller}: "
            f"{pods.listed(pod for pod, excluded in found if excluded)}; requests for a host whose domain leads there "
            "would leave in plain HTTP"
        )
