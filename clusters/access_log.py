"""Whether somebody has said already where the access log of a gateway goes.

A Telemetry that selects a gateway replaces the providers that the mesh config, or a Telemetry for more, has chosen; of
several that select it, only one set of providers counts.
"""

from collections.abc import Mapping
from typing import Any

from clusters.cluster import Cluster
from clusters.control_plane import Mesh
from components.istio_gateway import IstioGateway
from components.ownership import OWNER_LABEL

_TELEMETRIES = "/apis/telemetry.istio.io/v1/telemetries"
_SETTINGS = (("accessLogFile",), ("enableEnvoyAccessLogService",), ("defaultProviders", "accessLogging"))


def is_chosen(cluster: Cluster, gateway: IstioGateway, mesh: Mesh) -> bool:
    """Tell whether the mesh config says so, or a Telemetry that no stack made."""
    return any(mesh.get(*path) for path in _SETTINGS) or any(
        _governs(telemetry, gateway, mesh.root_namespace) for telemetry in cluster.items(_TELEMETRIES)
    )


def _governs(telemetry: Mapping[str, Any], gateway: IstioGateway, root_namespace: str) -> bool:
    metadata, spec = telemetry["metadata"], telemetry.get("spec", {})
    if OWNER_LABEL in metadata.get("labels", {}) or not spec.get("accessLogging"):
        return False
    if spec.get("targetRef") or spec.get("targetRefs"):
        return False
    selected = spec.get("selector", {}).get("matchLabels", {})
    if selected:
        return bool(metadata["namespace"] == gateway.namespace and selected.items() <= gateway.labels.items())
    return metadata["namespace"] in (gateway.namespace, root_namespace)
