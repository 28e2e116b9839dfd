"""Rights that the users of the kubeconfigs need, reviewed before anything is deployed.

Each API server reviews the rights of its user (SelfSubjectAccessReview). Without that, `pulumi up` would stop at the
first object that it may not create, half-way. Previews may run with read-only credentials: they warn.

The list follows the components by hand: what a program registers is complete only when objects are already being
created. A unit test compares it with what the components register. Rights for the checks' own reads are not in it: the
checks report those. Nor is the right to ask the gateways' proxies: `pulumi up` warns without it (proxies/).
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby

import pulumi

from clusters.cluster import Cluster
from clusters.concurrency import parallel
from clusters.facts import ClusterFacts
from clusters.site import Site
from components import certificate_names
from components.path_encoding import is_misreadable
from settings import ConfigError, NetworkPolicy, Platform, Settings
from settings.clusters import EGRESS_GATEWAY
from settings.gateway import GatewayMode

_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
# The Kubernetes provider lists and watches a kind until the object is ready, or gone: without that, it waits for ever.
_FOLLOW = ("list", "watch")
_MAKE = ("get", *_FOLLOW, "create", "patch", "delete")
_SET = ("get", "patch")
_SECURITY, _NETWORKING, _TELEMETRY = "security.istio.io", "networking.istio.io", "telemetry.istio.io"
_KYMA = "operator.kyma-project.io"


RENEWAL = "KYMA_MTLS_RENEWAL"
"""The environment variable that says that an update renews certificates, and does nothing else."""
_READ, _CARRIERS = {"get", *_FOLLOW}, {"secrets", "configmaps"}


@dataclass(frozen=True, order=True)
class Right:
    """A verb that a user may use on a kind of objects.

    namespace: where; empty for all namespaces, and for kinds without one
    """

    verb: str
    group: str
    resource: str
    namespace: str = ""

    @property
    def kind(self) -> str:
        """The kind as kubectl writes it: RESOURCE.GROUP."""
        return f"{self.resource}.{self.group}" if self.group else self.resource


Rights = Iterator[Right]


def check_rights(settings: Settings, sites: Sequence[Site]) -> None:
    """Raise ConfigError, with a line for each cluster whose user lacks rights; in a preview, warn of them instead."""
    lacking = _lacking(settings, sites)
    problems = [
        site.cluster.problem(_denied(rights, site)) for site, rights in zip(sites, lacking, strict=True) if rights
    ]
    if not pulumi.runtime.is_dry_run():
        if problems:
            raise ConfigError(*map(str, problems))
        return
    for problem in problems:
        pulumi.log.warn(f"{problem}; `pulumi up` will be refused")


def _lacking(settings: Settings, sites: Sequence[Site]) -> list[list[Right]]:
    """Return the rights that the users of the sites lack, site by site; one review is enough for an administrator."""
    admins = parallel(partial(_is_granted, site.cluster, Right("*", "*", "*")) for site in sites)
    wanted = [[] if admin else needed(settings, site) for site, admin in zip(sites, admins, strict=True)]
    reviews = [(site.cluster, right) for site, rights in zip(sites, wanted, strict=True) for right in rights]
    granted = iter(parallel(partial(_is_granted, *review) for review in reviews))
    return [[right for right in rights if not next(granted)] for rights in wanted]


def needed(settings: Settings, site: Site) -> list[Right]:
    """Return the rights that a stack needs in one of its clusters, or a renewal of its certificates, each once."""
    rights = _of_client(settings, site) if site.client else _of_target(settings, site.facts)
    return [right for right in dict.fromkeys(rights) if not os.environ.get(RENEWAL) or _is_of_renewal(right)]


def _is_of_renewal(right: Right) -> bool:
    """Return whether a renewal needs the right: to read, and to change the objects that carry certificates."""
    return right.verb in _READ or (right.verb == "patch" and right.resource in _CARRIERS)


def _of_target(settings: Settings, facts: ClusterFacts) -> Rights:
    own, gateway_namespace = settings.namespace, facts.gateway.namespace
    yield from _make("", "", "namespaces")
    if settings.served:
        yield from _make(gateway_namespace, "", "secrets")
        yield from _make(gateway_namespace, _SECURITY, "authorizationpolicies")
        yield from _make(own, _NETWORKING, "gateways")
        if settings.platform == Platform.KYMA:
            yield from _make(own, "gateway.kyma-project.io", "apirules")
        else:
            yield from _make(own, _NETWORKING, "virtualservices")
        if _needs_filters(settings):
            yield from _make(gateway_namespace, _NETWORKING, "envoyfilters")
    if any(host.demo for host in settings.served.values()):
        yield from _demo(own)
        if settings.platform == Platform.KYMA:
            yield from _make(own, _NETWORKING, "destinationrules")
        else:
            yield from _make(own, _SECURITY, "authorizationpolicies")
    if facts.kyma_gateway:
        yield from _of_kyma_gateway(settings, gateway_namespace)
        if facts.kyma_gateway.operator:
            yield from (Right(verb, _KYMA, "apigateways") for verb in _SET)


def _needs_filters(settings: Settings) -> bool:
    """Return whether a host needs an EnvoyFilter: for names of certificates, or on platform kyma for paths."""
    by_paths = settings.platform == Platform.KYMA
    admitted = {client for host in settings.served for client in settings.admitted(host)}
    return certificate_names.are_compared(settings.clients[client].identity for client in admitted) or (
        by_paths and any(is_misreadable(host.paths) for host in settings.served.values())
    )


def _of_kyma_gateway(settings: Settings, gateway_namespace: str) -> Rights:
    wanted = settings.gateway
    own = settings.namespace
    system, installer = ("kyma-system", "kyma-installer") if wanted.take_over else (own, own)
    yield from _make(gateway_namespace, "", "secrets")
    yield from _make(system, "", "secrets")
    yield from _make(system, _NETWORKING, "gateways")
    if wanted.mode == GatewayMode.GARDENER:
        yield from _make(gateway_namespace, "cert.gardener.cloud", "certificates")
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


def _of_client(settings: Settings, site: Site) -> Rights:
    client, gateway = settings.clients[site.client], site.facts.gateway
    own, gateway_namespace = settings.namespace, gateway.namespace
    yield from _make("", "", "namespaces")
    yield from _make(gateway_namespace, "", "secrets")
    if not site.facts.access_log_configured:
        yield from _make(gateway_namespace, _TELEMETRY, "telemetries")
    if settings.platform == Platform.KYMA and gateway.name == EGRESS_GATEWAY:
        yield from (Right(verb, _KYMA, "istios", "kyma-system") for verb in _SET)
    if client.network_policy != NetworkPolicy.NONE:
        yield from _make(own, "networking.k8s.io", "networkpolicies")
    if client.network_policy == NetworkPolicy.CALLERS:
        for namespace in client.caller_namespaces:
            yield from _make(namespace, "networking.k8s.io", "networkpolicies")
    if client.demo:
        yield from _demo(own)
    if settings.hosts:
        yield from _make(own, _NETWORKING, "serviceentries")
        yield from _make(own, _NETWORKING, "virtualservices")
    if settings.hosts_of(site.client):
        yield from _make(gateway_namespace, _SECURITY, "authorizationpolicies")
        yield from _make(gateway_namespace, _NETWORKING, "destinationrules")
        yield from _make(gateway_namespace, _NETWORKING, "serviceentries")
        yield from _make(own, _NETWORKING, "gateways")


def _demo(namespace: str) -> Rights:
    """Yield the rights for a workload, and for the kinds that the provider follows until its Pods are ready."""
    yield from _make(namespace, "", "serviceaccounts")
    yield from _make(namespace, "", "services")
    yield from _make(namespace, "apps", "deployments")
    for group, resource in (("apps", "replicasets"), ("", "pods"), ("", "persistentvolumeclaims")):
        yield from (Right(verb, group, resource, namespace) for verb in _FOLLOW)


def _make(namespace: str, group: str, resource: str) -> Rights:
    yield from (Right(verb, group, resource, namespace) for verb in _MAKE)


def _is_granted(cluster: Cluster, right: Right) -> bool:
    """Return whether a cluster's user has a right.

    A cluster that does not review rights counts as granting each of them, and as having no administrator.
    """
    attributes = {name: getattr(right, name) for name in ("verb", "group", "resource", "namespace")}
    try:
        answer = cluster.create(_REVIEWS, _review(attributes))
    except ConfigError:
        return right.verb != "*"  # `pulumi up` reports the refusal
    status = (answer or {}).get("status")
    if not isinstance(status, dict) or status.get("evaluationError"):
        return right.verb != "*"
    return bool(status.get("allowed"))


def _review(attributes: Mapping[str, str]) -> dict[str, object]:
    spec = {"resourceAttributes": dict(attributes)}
    return {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": spec}


def _denied(rights: list[Right], site: Site) -> str:
    by_kind: dict[tuple[str, str], list[str]] = {}
    for right in rights:
        by_kind.setdefault((right.namespace, right.kind), []).append(right.verb)
    alike = sorted((namespace, ", ".join(verbs), kind) for (namespace, kind), verbs in by_kind.items())
    parts = []
    for (namespace, verbs), group in groupby(alike, key=lambda each: each[:2]):
        kinds = ", ".join(kind for _, _, kind in group)
        parts.append(f"{verbs} {kinds}{f' in {namespace}' if namespace else ''}")
    file = f"rbac/{'client' if site.client else 'target'}.yaml"
    return f"denies this user: {'; '.join(parts)}; {file} lists the rights that a stack needs"
