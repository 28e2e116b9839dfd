"""The access log of a gateway: whether the mesh config or a Telemetry of another maker configures it.

A Telemetry that selects a gateway replaces the providers of the mesh config and of a Telemetry for a whole namespace or
mesh; of several that select it, Istio takes the providers of one only
(https://istio.io/latest/docs/reference/config/telemetry/).
"""

from collections.abc import Mapping
from typing import Any

from clusters.cluster import Cluster
from clusters.control_plane import Mesh
from components.istio_gateway import IstioGateway
from components.ownership import is_owned

_TELEMETRIES = "/apis/telemetry.istio.io/v1/telemetries"
_SETTINGS = (("accessLogFile",), ("enableEnvoyAccessLogService",), ("defaultProviders", "accessLogging"))


def is_configured(cluster: Cluster, gateway: IstioGateway, mesh: Mesh) -> bool:
    """Return whether the mesh config, or a Telemetry that no stack made, configures the access log of a gateway."""
    return any(mesh.get(*path) for path in _SETTINGS) or any(
        _configures(telemetry, gateway, mesh.root_namespace) for telemetry in cluster.items(_TELEMETRIES)
    )


def _configures(telemetry: Mapping[str, Any], gateway: IstioGateway, root_namespace: str) -> bool:
    metadata, spec = telemetry["metadata"], telemetry.get("spec", {})
    if is_owned(metadata) or not spec.get("accessLogging"):
        return False
    if spec.get("targetRef") or spec.get("targetRefs"):
        return False
    selected = spec.get("selector", {}).get("matchLabels", {})
    if selected:
        return bool(metadata["namespace"] == gateway.namespace and selected.items() <= gateway.labels.items())
    return metadata["namespace"] in (gateway.namespace, root_namespace)
