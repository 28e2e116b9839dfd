"""Istio's control planes in a cluster: the namespaces that each injects sidecars into, its Service, its mesh config.

Follows how istioctl and Helm install Istio: a webhook configuration and a ConfigMap for each revision
(https://istio.io/latest/docs/setup/upgrade/canary/).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from clusters.cluster import Cluster
from components.istio_gateway import DEFAULT_REVISION, REVISION, Destination, Pods, injection
from components.namespaced_name import NamespacedName

# The first version with the v1 of all three APIs: https://istio.io/latest/blog/2024/v1-apis/
_OLDEST = "1.22"
APIS = (
    ("networking.istio.io", "has no Istio; install it (on Kyma: add the Istio module)"),
    *(
        (f"{group}.istio.io/v1", f"serves no {group}.istio.io/v1: it needs Istio {_OLDEST} or newer")
        for group in ("networking", "security", "telemetry")
    ),
)
"""Istio's APIs, and the problem of a cluster that lacks one, for Cluster.check_apis."""

_WEBHOOKS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
_INJECTOR = "sidecar-injector.istio.io"
_TAG = "istio.io/tag"
_XDS_PORT = 15012


@dataclass(frozen=True)
class Injector:
    """A webhook that injects sidecars into new Pods.

    name: its revision, or a tag
    revision: its revision, or that of its tag
    istiod: the Service that it calls; None if istiod is outside the cluster
    """

    name: str
    revision: str
    istiod: NamespacedName | None
    namespace_selector: Mapping[str, Any]
    object_selector: Mapping[str, Any]

    def takes(self, namespace: Mapping[str, str]) -> bool:
        """Return whether it injects into a Pod without labels of its own, in a namespace with these labels."""
        return selects(self.namespace_selector, namespace) and selects(self.object_selector, {})


@dataclass(frozen=True)
class Mesh:
    """Istio's mesh config of one revision. Resources in `root_namespace` hold for all namespaces."""

    config: Mapping[str, Any]
    root_namespace: str

    def get(self, *path: str) -> Any:
        """Return the value at a path; None if it is not set."""
        value: Any = self.config
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        return value


def injectors(cluster: Cluster) -> list[Injector]:
    """List every injector of a cluster."""
    return [
        injector
        for configuration in cluster.items(_WEBHOOKS)
        for webhook in configuration.get("webhooks", [])
        if webhook["name"].endswith(_INJECTOR)
        for injector in [_injector(configuration["metadata"].get("labels", {}), webhook)]
    ]


def injector_of(cluster: Cluster, found: Sequence[Injector], namespace: str, revision: str, key: str) -> Injector:
    """Return the injector of a namespace for a revision or tag; raise ConfigError, naming the key, if there is none."""
    labels = injection(revision)
    for injector in found:
        if injector.takes({**labels, "kubernetes.io/metadata.name": namespace}):
            return injector
    ((label, value),) = labels.items()
    known = ", ".join(sorted({injector.name for injector in found})) or "none"
    raise cluster.problem(
        f"injects no sidecars into namespaces with the label {label}: {value}; it has the revisions and tags {known}",
        key,
    )


def istiods(cluster: Cluster, own: Injector, found: Sequence[Injector], key: str) -> tuple[Destination, ...]:
    """Return every istiod of the cluster, from which sidecars get their config: a Pod keeps the one it began with.

    Raise ConfigError, naming the key, if the istiod of the injector `own` is outside the cluster.
    """
    services = dict.fromkeys(injector.istiod for injector in (own, *found) if injector.istiod)
    there = {service: istiod for service in services if (istiod := _istiod(cluster, service))}
    if own.istiod not in there:
        raise cluster.problem(
            "runs istiod outside the cluster, which a NetworkPolicy cannot allow; set this to none", key
        )
    return tuple(there.values())


def mesh(cluster: Cluster, found: Sequence[Injector], name: str) -> Mesh:
    """Return the mesh config of a revision or tag; an empty one if the cluster has none."""
    injector = next((each for each in found if each.name == name), None)
    revision = injector.revision if injector else name
    namespace = injector.istiod.namespace if injector and injector.istiod else "istio-system"
    config_map = "istio" if revision == DEFAULT_REVISION else f"istio-{revision}"
    data = (cluster.read(f"/api/v1/namespaces/{namespace}/configmaps/{config_map}") or {}).get("data") or {}
    try:
        config = yaml.safe_load(data.get("mesh", ""))
    except yaml.YAMLError:
        raise cluster.problem(f"has no YAML in ConfigMap {namespace}/{config_map}, entry mesh") from None
    config = config if isinstance(config, dict) else {}
    return Mesh(config, config.get("rootNamespace") or namespace)


def _injector(labels: Mapping[str, str], webhook: Mapping[str, Any]) -> Injector:
    revision = labels.get(REVISION, DEFAULT_REVISION)
    service = webhook.get("clientConfig", {}).get("service")
    return Injector(
        name=labels.get(_TAG, revision),
        revision=revision,
        istiod=NamespacedName(service["namespace"], service["name"]) if service else None,
        namespace_selector=webhook.get("namespaceSelector") or {},
        object_selector=webhook.get("objectSelector") or {},
    )


def _istiod(cluster: Cluster, named: NamespacedName) -> Destination | None:
    service = cluster.service(named)
    selector = service["spec"].get("selector") if service else None
    if not selector:
        return None
    ports = {port["port"]: port.get("targetPort", port["port"]) for port in service["spec"].get("ports", [])}
    return Destination(((ports.get(_XDS_PORT, _XDS_PORT), "TCP"),), pods=Pods(named.namespace, selector))


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Return whether a label selector of Kubernetes matches these labels."""
    return all(_requirements(selector, labels))


def _requirements(selector: Mapping[str, Any], labels: Mapping[str, str]) -> Iterator[bool]:
    yield selector.get("matchLabels", {}).items() <= labels.items()
    for expression in selector.get("matchExpressions", []):
        value, values = labels.get(expression["key"]), expression.get("values", [])
        match expression["operator"]:
            case "In":
                yield value in values
            case "NotIn":
                yield value not in values
            case "Exists":
                yield value is not None
            case _:
                yield value is None
