"""What must be true of the two clusters before anything is planned for them."""

from clusters.cluster import Cluster, check, connect

__all__ = ["Cluster", "check", "connect"]
