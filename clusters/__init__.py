"""The clusters as they are: how they are reached, and what must be true of them before anything is planned."""

from clusters.check import Clusters, check
from clusters.cluster import Cluster, connect
from clusters.side_by_side import side_by_side

__all__ = ["Cluster", "Clusters", "check", "connect", "side_by_side"]
