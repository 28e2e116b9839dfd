"""Kyma's Istio module: its CR, and the NetworkPolicies that it makes."""

from collections.abc import Mapping
from typing import Any

from clusters.cluster import Cluster

# With networkPoliciesEnabled, the gateways' NetworkPolicies let in and out Pods with these labels only:
# https://github.com/kyma-project/istio/blob/main/docs/user/00-50-network-policies.md
FROM_INGRESS_GATEWAY = "networking.kyma-project.io/from-ingressgateway"
TO_EGRESS_GATEWAY = "networking.kyma-project.io/to-egressgateway"
ALLOWED = "allowed"


def find(cluster: Cluster) -> Mapping[str, Any] | None:
    """Return the Istio CR; None if the cluster has no Istio module."""
    found = cluster.find("operator.kyma-project.io/v1alpha2", "Istio", "kyma-system", "default")
    return dict(found) if found else None


def has_network_policies(istio: Mapping[str, Any] | None) -> bool:
    """Return whether an Istio CR has the module make NetworkPolicies for its gateways; false if there is none."""
    return bool(((istio or {}).get("spec") or {}).get("networkPoliciesEnabled"))
