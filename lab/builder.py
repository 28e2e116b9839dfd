"""Builds the parts that are missing, each once, into the cache."""

import shutil
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from rich.console import Console

from lab import jobs
from lab.errors import LabError
from lab.jobs import Job
from lab.part import Part
from lab.paths import cache_dir, parts_dir
from lab.processes import Processes
from lab.workshop import Workshop

CACHES_GIB = 13
"""The size of Go's caches when all parts are built."""
BESIDE_GIB = 2.5
"""The room that the jobs beside the parts take: file systems and images, and the files that making them needs."""
BUILDING = ".build-"


def build(missing: Sequence[Part], go: Path, console: Console, beside: Sequence[Job] = ()) -> None:
    """Build the parts `missing`, showing progress.

    beside: jobs that run in parallel with the builds.

    The parts share Go's caches, since they have many packages in common; the caches are removed at the end.

    Raises LabError before anything is built if the disk has too little room, and when a build fails; parts that were
    finished before are kept.
    """
    _check_disk(missing, BESIDE_GIB if beside else 0)
    with tempfile.TemporaryDirectory(prefix=BUILDING, dir=parts_dir(), ignore_cleanup_errors=True) as folder:
        shop = Workshop(go, Path(folder), Processes(), console)
        jobs.run([*beside, *(_job(shop, part) for part in missing)], console)


def sweep_killed() -> None:
    """Remove the folders that killed builds left."""
    sweep(lambda path: path.name.startswith(BUILDING))


def sweep(is_stale: Callable[[Path], bool]) -> None:
    """Remove the stale ones among the folders of the parts."""
    for path in filter(is_stale, parts_dir().iterdir()):
        shutil.rmtree(path, ignore_errors=True)


def _job(shop: Workshop, part: Part) -> Job:
    after = {"go", *part.table.get("after", ())} - {part.name}
    return Job(part.name, part.table["minutes"], partial(shop.build, part), shop.processes.end, after)


def _check_disk(missing: Sequence[Part], beside: float) -> None:
    kept = sum(part.table["kept"] for part in missing)
    needed = beside + kept + min(CACHES_GIB, sum(part.table["peak"] for part in missing))
    free = shutil.disk_usage(cache_dir()).free / 2**30
    if free < needed:
        raise LabError(
            f"Building the lab's programs needs {needed:.1f} GiB in {cache_dir()}, where {free:.1f} GiB are free: "
            "free some, or name a folder on a larger disk in KYMA_MTLS_CACHE"
        )
