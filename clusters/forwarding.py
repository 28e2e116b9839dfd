"""X-Forwarded-Client-Cert: the header by which the ingress gateway names the client certificate of a request."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import yaml

from clusters import control_plane, gateways
from clusters.cluster import Cluster
from clusters.control_plane import Injector
from components.istio_gateway import IstioGateway
from settings import Settings

# With these, Envoy forwards the header that the caller wrote:
# https://istio.io/latest/docs/ops/configuration/traffic-management/network-topologies/
FORWARDS_CALLERS_HEADER = {"FORWARD_ONLY", "ALWAYS_FORWARD_ONLY"}
_MODE = ("gatewayTopology", "forwardClientCertDetails")
# A Pod's own settings precede those of the mesh config. Istio's proxy reads them from an annotation and an environment
# variable: https://istio.io/latest/docs/reference/config/istio.mesh.v1alpha1/#ProxyConfig
_ANNOTATION, _VARIABLE = "proxy.istio.io/config", "PROXY_CONFIG"


def check_forwarding(
    settings: Settings, cluster: Cluster, injectors: Sequence[Injector], gateway: IstioGateway
) -> None:
    """Raise ConfigError for a `dns:` identity if the ingress gateway forwards the header that callers wrote."""
    named = [name for name, client in settings.clients.items() if client.identity.startswith("dns:")]
    admitted = [name for name in named if settings.hosts_of(name)]
    if not admitted:
        return
    mesh = control_plane.mesh(cluster, injectors, gateway.revision)
    default = mesh.get("defaultConfig", *_MODE)
    pods = gateways.templates(cluster, gateway)
    for mode in chain.from_iterable(_modes(pod, default) for pod in pods):
        if mode in FORWARDS_CALLERS_HEADER:
            raise cluster.problem(
                f"forwards the caller's own X-Forwarded-Client-Cert ({mode}), so that any client could claim a DNS "
                "name; use a spiffe:// identity, or set forwardClientCertDetails to SANITIZE_SET, in the mesh config "
                f"or in annotation {_ANNOTATION} of the gateway's Pods",
                f"clients.{admitted[0]}.identity",
            )


def _modes(pod: Mapping[str, Any], default: str) -> Iterator[str]:
    """Yield the modes that a Pod, or the template of a workload's Pods, sets; the default if it sets none."""
    containers = pod["spec"].get("containers", ())
    given = [
        (pod["metadata"].get("annotations") or {}).get(_ANNOTATION, ""),
        *(
            entry.get("value", "")
            for each in containers
            for entry in each.get("env") or ()
            if entry["name"] == _VARIABLE
        ),
    ]
    found = [mode for text in given if (mode := _mode(text))]
    yield from found or [default]


def _mode(text: str) -> str:
    """Return the mode in the YAML of a ProxyConfig; empty if it sets none."""
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        return ""
    for key in _MODE:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, str) else ""
