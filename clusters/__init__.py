"""The clusters of a stack: connections to them, their facts, and the checks before anything is deployed."""

from clusters.checks import check_sites
from clusters.cluster import Cluster, Refused, connect
from clusters.concurrency import parallel
from clusters.site import Site

__all__ = ["Cluster", "Refused", "Site", "check_sites", "connect", "parallel"]
