"""Checks of a stack's clusters before anything is deployed, all clusters in parallel."""

from collections.abc import Iterable
from functools import partial

from clusters.client_checks import check_client
from clusters.cluster import Cluster, connect
from clusters.concurrency import parallel
from clusters.site import Site
from clusters.snapshot import Snapshot
from clusters.target_checks import check_target
from components.ownership import Owner
from settings import Settings


def check_sites(settings: Settings, owner: Owner) -> list[Site]:
    """Connect to every cluster of the stack that is not away, and check it; return the sites, the target first.

    owner: the stack, by whose label its own objects are known

    Raise ConfigError with all problems of all clusters, one line each.
    """
    access = {name: settings.client_access(name) for name in settings.present_clients}
    if settings.target_access:
        access = {"": settings.target_access, **access}
    connected = parallel(partial(connect, each) for each in access.values())
    _check_distinct(connected)
    return parallel(
        partial(_check_site, settings, owner, cluster, client)
        for client, cluster in zip(access, connected, strict=True)
    )


def _check_site(settings: Settings, owner: Owner, cluster: Cluster, client: str) -> Site:
    check = partial(check_client, settings, client) if client else partial(check_target, settings)
    return Site(cluster, check(Snapshot.of(cluster), owner), client)


def _check_distinct(clusters: Iterable[Cluster]) -> None:
    seen: dict[str, Cluster] = {}
    for cluster in clusters:
        if other := seen.get(cluster.uid):
            raise cluster.problem(f"is that of {other.access.path}, too; each needs a cluster of its own")
        seen[cluster.uid] = cluster
