"""X-Forwarded-Client-Cert: the header by which the ingress gateway names the client certificate of a request."""

from collections.abc import Sequence

from clusters import control_plane
from clusters.cluster import Cluster
from clusters.control_plane import Injector
from settings import Settings

# With these, Envoy forwards the header that the caller wrote:
# https://istio.io/latest/docs/ops/configuration/traffic-management/network-topologies/
_FORWARDS_CALLERS_HEADER = {"FORWARD_ONLY", "ALWAYS_FORWARD_ONLY"}


def check_forwarding(settings: Settings, cluster: Cluster, injectors: Sequence[Injector], revision: str) -> None:
    """Raise ConfigError for a `dns:` identity if the ingress gateway forwards the header that callers wrote.

    revision: revision or tag of the ingress gateway
    """
    named = [name for name, client in settings.clients.items() if client.identity.startswith("dns:")]
    admitted = [name for name in named if settings.hosts_of(name)]
    if not admitted:
        return
    mesh = control_plane.mesh(cluster, injectors, revision)
    mode = mesh.get("defaultConfig", "gatewayTopology", "forwardClientCertDetails")
    if mode in _FORWARDS_CALLERS_HEADER:
        raise cluster.problem(
            f"forwards the caller's own X-Forwarded-Client-Cert ({mode}), so that any client could claim a DNS name; "
            "use a spiffe:// identity, or set forwardClientCertDetails to SANITIZE_SET",
            f"clients.{admitted[0]}.identity",
        )
