"""The clusters of a stack: connections to them, their facts, and the checks before anything is deployed."""

from clusters.checks import check_sites
from clusters.cluster import Cluster, connect
from clusters.concurrency import parallel
from clusters.site import Site

__all__ = ["Cluster", "Site", "check_sites", "connect", "parallel"]
