"""Mutual TLS between Istio clusters, as Pulumi components: one a file, each deployed into one cluster.

Certificates makes a CA (AuthorityArgs), and signs the Credentials of hosts and clients.

In the cluster that serves:

- MtlsTarget makes the namespace of the hosts;
- MtlsHost serves one host, by the Service that a ServiceRef names, to the clients that the host admits.

In each cluster that calls:

- EgressClient makes a namespace, and puts the client's Credential into the egress gateway's. Its output `callers` are
  the Identities of its callers in the mesh;
- EgressRoute routes these callers alone to one host, by mutual TLS from the egress gateway; with a Refusal, their
  sidecars answer each request for the host themselves.

An IstioGateway describes a cluster's gateway: DOCUMENTED_INGRESS or DOCUMENTED_EGRESS as istioctl and Kyma install it;
IstioGateway.read reads any further one, and raises GatewayError if it cannot be used. A Destination (Pods, or
addresses) is one that a NetworkPolicy allows; `injection` returns the label that has sidecars injected.

The package promises these names, by semantic versioning. Further names of its modules may change in every version.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__all__ = [
    "DOCUMENTED_EGRESS",
    "DOCUMENTED_INGRESS",
    "AuthorityArgs",
    "Certificates",
    "Credential",
    "Destination",
    "EgressClient",
    "EgressClientArgs",
    "EgressRoute",
    "EgressRouteArgs",
    "GatewayError",
    "Identities",
    "IstioGateway",
    "MtlsHost",
    "MtlsHostArgs",
    "MtlsTarget",
    "MtlsTargetArgs",
    "Pods",
    "Refusal",
    "ServiceRef",
    "injection",
]

if TYPE_CHECKING:
    from .authorization import Identities
    from .certificates import AuthorityArgs, Certificates, Credential
    from .egress_client import EgressClient, EgressClientArgs
    from .egress_route import EgressRoute, EgressRouteArgs, Refusal
    from .istio_gateway import (
        DOCUMENTED_EGRESS,
        DOCUMENTED_INGRESS,
        Destination,
        GatewayError,
        IstioGateway,
        Pods,
        injection,
    )
    from .mtls_host import MtlsHost, MtlsHostArgs, ServiceRef
    from .mtls_target import MtlsTarget, MtlsTargetArgs
else:
    _MODULES = (
        "istio_gateway",
        "certificates",
        "authorization",
        "mtls_target",
        "mtls_host",
        "egress_client",
        "egress_route",
    )

    def __getattr__(name: str) -> Any:
        """Import a promised name at its first use: istio_gateway needs no Pulumi, whose import takes a second."""
        if name in __all__:
            for module in _MODULES:
                found = vars(import_module(f".{module}", __name__))
                if name in found:
                    return found[name]
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
