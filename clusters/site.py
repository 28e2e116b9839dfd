"""One cluster of a stack, as an object: which it is, how it is reached, and what the checks read from it."""

from dataclasses import dataclass

from clusters.cluster import Cluster
from clusters.facts import ClusterFacts


@dataclass(frozen=True)
class Site:
    """One cluster of a stack.

    cluster: the connection
    facts: what the checks read from the cluster
    client: name of the client whose cluster it is; empty for the target
    """

    cluster: Cluster
    facts: ClusterFacts
    client: str = ""

    @property
    def path(self) -> str:
        """Its path in the config: `target`, or `clients.NAME`."""
        return self.cluster.access.path

    @property
    def gateway_key(self) -> str:
        """The config key that names its gateway."""
        return f"{self.path}.{'egressGateway' if self.client else 'ingressGateway'}"
