"""Mutual TLS between Istio clusters, as Pulumi components: one a file, each deployed into one cluster.

Certificates makes the trust: a CA, and the credentials (Credential) of hosts and clients; AuthorityArgs says how.

In the cluster that serves:

- MtlsTarget makes a namespace for what the hosts have in common;
- MtlsHost serves one host of it to the clients that it admits; a ServiceRef names what answers.

In each cluster that calls:

- EgressClient makes a namespace, and puts the client's credential beside the egress gateway. It gives `callers`, their
  Identities in the mesh;
- EgressRoute routes those callers, and nobody else, to one host, by mutual TLS from the egress gateway.

A IstioGateway says how a cluster's gateway is set up: DOCUMENTED_INGRESS or DOCUMENTED_EGRESS where istioctl or Kyma
made it; IstioGateway.read reads any other one, and GatewayError says what it lacks. A Destination (of Pods, or of
addresses) is where a NetworkPolicy lets Pods out to; `injection` gives the label that asks for sidecars.

These names are what the package promises. Whatever else is in its modules may change in every version.
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
    "ServiceRef",
    "injection",
]

if TYPE_CHECKING:
    from .authorization import Identities
    from .certificates import AuthorityArgs, Certificates, Credential
    from .egress_client import EgressClient, EgressClientArgs
    from .egress_route import EgressRoute, EgressRouteArgs
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
        """Import a promised name when it is asked for: the types of `offer` need no Pulumi, which takes a second."""
        if name in __all__:
            for module in _MODULES:
                found = vars(import_module(f".{module}", __name__))
                if name in found:
                    return found[name]
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
