"""What the users of the kubeconfigs have to be allowed, so that `pulumi up` does not stop half-way.

Each cluster is asked what its user may do (SelfSubjectAccessReview). Previews may run with read-only credentials: they
warn. What the checks of the clusters look at is no concern here: they tell themselves what they may not see.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import groupby

import pulumi

from clusters.check import Clusters
from clusters.cluster import Cluster
from clusters.facts import ClusterFacts, KymaGatewayFacts
from clusters.side_by_side import side_by_side
from settings import Client, ConfigError, NetworkPolicy, Platform, Settings
from settings.clusters import EGRESS_GATEWAY
from settings.gateway import GatewayMode

_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
# The provider lists and watches a kind until the object is ready, or gone: without that, it waits for ever.
_FOLLOW = ("list", "watch")
_MAKE = ("get", *_FOLLOW, "create", "patch", "delete")
_SET = ("get", "patch")
_SECURITY, _NETWORKING, _TELEMETRY = "security.istio.io", "networking.istio.io", "telemetry.istio.io"
_KYMA = "operator.kyma-project.io"


@dataclass(frozen=True, order=True)
class Right:
    """What a user may do with a kind of objects, in one namespace, or in all if that is empty."""

    verb: str
    group: str
    resource: str
    namespace: str = ""

    @property
    def kind(self) -> str:
        """The kind as kubectl knows it."""
        return f"{self.resource}.{self.group}" if self.group else self.resource


Rights = Iterator[Right]


def check(settings: Settings, found: Clusters) -> None:
    """Raise ConfigError, with a line for each cluster whose user lacks rights; in a preview, warn of them instead."""
    clusters = list(found.all.items())
    admins = side_by_side(partial(_may, cluster, Right("*", "*", "*")) for _, cluster in clusters)
    asked = [
        (cluster, right)
        for (path, cluster), is_admin in zip(clusters, admins, strict=True)
        if not is_admin
        for right in needed(settings, path, found.offers[path])
    ]
    answers = side_by_side(partial(_may, *question) for question in asked)
    lacking: dict[str, list[Right]] = {}
    for (cluster, right), allowed in zip(asked, answers, strict=True):
        if not allowed:
            lacking.setdefault(cluster.access.path, []).append(right)
    problems = [found.all[path].problem(_told(rights, path)) for path, rights in lacking.items()]
    if not pulumi.runtime.is_dry_run():
        if problems:
            raise ConfigError(*map(str, problems))
        return
    for problem in problems:
        pulumi.log.warn(f"{problem}; `pulumi up` will be refused")


def needed(settings: Settings, path: str, offer: ClusterFacts) -> list[Right]:
    """Return what the user of the cluster at a path of the config needs."""
    rights = (
        _of_target(settings, offer)
        if path == "target"
        else _of_client(settings, settings.clients[path.removeprefix("clients.")], path, offer)
    )
    return list(dict.fromkeys(rights))


def _of_target(settings: Settings, offer: ClusterFacts) -> Rights:
    own, beside = settings.namespace, offer.gateway.namespace
    yield from _make("", "", "namespaces")
    if settings.served:
        yield from _make(beside, "", "secrets")
        yield from _make(beside, _SECURITY, "authorizationpolicies")
        yield from _make(own, _NETWORKING, "gateways")
        if settings.platform == Platform.KYMA:
            yield from _make(own, "gateway.kyma-project.io", "apirules")
        else:
            yield from _make(own, _NETWORKING, "virtualservices")
    if any(host.demo for host in settings.served.values()):
        yield from _demo(own)
        if settings.platform != Platform.KYMA:
            yield from _make(own, _SECURITY, "authorizationpolicies")
    if offer.site:
        yield from _of_gateway(settings, beside, offer.site)


def _of_gateway(settings: Settings, beside: str, site: KymaGatewayFacts) -> Rights:
    wanted = settings.gateway
    own = settings.namespace
    system, installer = ("kyma-system", "kyma-installer") if wanted.take_over else (own, own)
    yield from _make(beside, "", "secrets")
    yield from _make(system, "", "secrets")
    yield from _make(system, _NETWORKING, "gateways")
    if wanted.mode == GatewayMode.GARDENER:
        yield from _make(beside, "cert.gardener.cloud", "certificates")
        yield from _make(system, "dns.gardener.cloud", "dnsentries")
    if wanted.apiserver_proxy:
        yield from _make(system, "", "services")
        yield from _make(system, "", "configmaps")
        if wanted.mode == GatewayMode.GARDENER:
            yield from _make(system, "cert.gardener.cloud", "certificates")
    if wanted.legacy_installer:
        yield from _make(installer, "", "configmaps")
    if wanted.service_entry_hosts:
        yield from _make(own, _NETWORKING, "serviceentries")
    if site.operator:
        yield from (Right(verb, _KYMA, "apigateways") for verb in _SET)


def _of_client(settings: Settings, client: Client, path: str, offer: ClusterFacts) -> Rights:
    own, beside = settings.namespace, offer.gateway.namespace
    yield from _make("", "", "namespaces")
    yield from _make(beside, "", "secrets")
    if not offer.logs_elsewhere:
        yield from _make(beside, _TELEMETRY, "telemetries")
    if settings.platform == Platform.KYMA and offer.gateway.name == EGRESS_GATEWAY:
        yield from (Right(verb, _KYMA, "istios", "kyma-system") for verb in _SET)
    if client.network_policy != NetworkPolicy.NONE:
        yield from _make(own, "networking.k8s.io", "networkpolicies")
    if client.network_policy == NetworkPolicy.CALLERS:
        for namespace in client.caller_namespaces:
            yield from _make(namespace, "networking.k8s.io", "networkpolicies")
    if client.demo:
        yield from _demo(own)
    if settings.hosts_of(path.removeprefix("clients.")):
        yield from _make(beside, _SECURITY, "authorizationpolicies")
        yield from _make(beside, _NETWORKING, "destinationrules")
        for resource in ("serviceentries", "gateways", "virtualservices"):
            yield from _make(own, _NETWORKING, resource)


def _demo(namespace: str) -> Rights:
    """Yield what a workload needs, and what the provider follows until its Pods are ready."""
    yield from _make(namespace, "", "serviceaccounts")
    yield from _make(namespace, "", "services")
    yield from _make(namespace, "apps", "deployments")
    for group, resource in (("apps", "replicasets"), ("", "pods"), ("", "persistentvolumeclaims")):
        yield from (Right(verb, group, resource, namespace) for verb in _FOLLOW)


def _make(namespace: str, group: str, resource: str) -> Rights:
    yield from (Right(verb, group, resource, namespace) for verb in _MAKE)


def _may(cluster: Cluster, right: Right) -> bool:
    """Tell whether a cluster's user has a right; yes if the cluster does not say."""
    attributes = {name: getattr(right, name) for name in ("verb", "group", "resource", "namespace")}
    try:
        answer = cluster.create(_REVIEWS, _review(attributes))
    except ConfigError:
        return right.verb != "*"  # what it refuses, it refuses `pulumi up`, too, which says so
    status = (answer or {}).get("status")
    if not isinstance(status, dict) or status.get("evaluationError"):
        return right.verb != "*"
    return bool(status.get("allowed"))


def _review(attributes: Mapping[str, str]) -> dict[str, object]:
    spec = {"resourceAttributes": dict(attributes)}
    return {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": spec}


def _told(rights: list[Right], path: str) -> str:
    by_kind: dict[tuple[str, str], list[str]] = {}
    for right in rights:
        by_kind.setdefault((right.namespace, right.kind), []).append(right.verb)
    alike = sorted((namespace, ", ".join(verbs), kind) for (namespace, kind), verbs in by_kind.items())
    parts = []
    for (namespace, verbs), group in groupby(alike, key=lambda each: each[:2]):
        kinds = ", ".join(kind for _, _, kind in group)
        parts.append(f"{verbs} {kinds}{f' in {namespace}' if namespace else ''}")
    file = f"rbac/{'target' if path == 'target' else 'client'}.yaml"
    return f"denies this user: {'; '.join(parts)}; {file} has what a stack needs"
