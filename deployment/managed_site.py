"""A site that the stack deploys into."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Self

import pulumi
import pulumi_kubernetes as k8s

from clusters import Cluster, Site
from clusters.facts import ClusterFacts
from components.lifecycle import Lifecycle
from components.placement import Placement


@dataclass(frozen=True)
class ManagedSite:
    """A site with the provider that deploys into its cluster, and the rule for the life of its objects."""

    site: Site
    provider: k8s.Provider
    lifecycle: Lifecycle

    @classmethod
    def create(cls, site: Site, owner: pulumi.Input[str], placement: Placement) -> Self:
        """Register the provider, which is configured once the placement is recorded."""
        cluster = site.cluster
        # Another cluster gets another provider: the old one stays until its objects are deleted.
        provider = k8s.Provider(
            f"{site.path}-{cluster.uid}",
            kubeconfig=placement.secret(cluster.kubeconfig),
            cluster_identifier=cluster.uid,
            enable_secret_mutable=True,
            enable_config_map_mutable=True,
        )
        return cls(site, provider, Lifecycle(site.path, owner, cluster))

    @property
    def cluster(self) -> Cluster:
        """The connection to its cluster."""
        return self.site.cluster

    @property
    def facts(self) -> ClusterFacts:
        """What the checks read from its cluster."""
        return self.site.facts

    def options(self, key: str = "namespace", *, to_be_released: Collection[str] = ()) -> pulumi.ResourceOptions:
        """Return options for a component, which deploy all of its objects into the cluster, under the lifecycle's rule.

        key: config key that decides the names of the objects
        to_be_released: objects, each KIND NAMESPACE/NAME, that Kyma's operator releases before the stack makes its own
        """
        rule = self.lifecycle.options(key, to_be_released=to_be_released)
        return pulumi.ResourceOptions.merge(rule, pulumi.ResourceOptions(provider=self.provider))
