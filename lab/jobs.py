"""Runs jobs in parallel, shows their progress, and ends them all when one fails."""

import os
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

LANES = 2
"""Jobs at a time: while one links or downloads, which takes one core or none, the second one compiles."""
ALMOST = 0.9
"""The most that counts as done of a job that runs."""
SETTLED = 1
"""Minutes of processor time after which the estimate goes by the pace so far, not by the number of cores."""


@dataclass(frozen=True)
class Job:
    """A piece of work.

    name: for the progress display and `after`.
    minutes: of processor time that it takes, for the estimate.
    run: does it, in a thread; an exception ends all jobs.
    end: makes `run` return soon; called again and again until it has.
    after: names of jobs to finish before this one starts; names that are not among the jobs do not count.
    """

    name: str
    minutes: float
    run: Callable[[], None]
    end: Callable[[], None]
    after: Collection[str] = ()


def run(jobs: Sequence[Job], console: Console) -> None:
    """Run the jobs, LANES at a time and in this order as far as `after` allows; report each.

    When a job fails or the user interrupts, ends the jobs that run, then raises that exception.
    """
    display = _Display(jobs, console)
    with display, ThreadPoolExecutor(LANES) as pool:
        waiting, running = list(jobs), dict[Future[None], Job]()
        try:
            while waiting or running:
                while len(running) < LANES and (job := _next(waiting, running.values())):
                    waiting.remove(job)
                    display.begin(job)
                    running[pool.submit(job.run)] = job
                for future in wait(running, timeout=1, return_when=FIRST_COMPLETED).done:
                    future.result()
                    display.finish(running.pop(future))
                display.refresh()
        except BaseException:
            while wait(running, timeout=0.2).not_done:
                for job in running.values():
                    job.end()
            raise


def _next(waiting: Sequence[Job], running: Collection[Job]) -> Job | None:
    unfinished = {job.name for job in (*waiting, *running)}
    return next((job for job in waiting if not unfinished & set(job.after)), None)


class _Display:
    """Prints a line when a job begins and ends; a terminal shows the running jobs instead of the first."""

    def __init__(self, jobs: Sequence[Job], console: Console) -> None:
        self._jobs = jobs
        self._console = console
        self._start = time.monotonic()
        self._begun: dict[str, float] = {}
        self._finished: set[str] = set()
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        self._progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._total = self._progress.add_task("", total=None)
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> None:
        self._progress.start()

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def begin(self, job: Job) -> None:
        self._begun[job.name] = time.monotonic()
        title = f"building {job.name} ({len(self._begun)} of {len(self._jobs)}"
        self._tasks[job.name] = self._progress.add_task(f"{title})", total=None)
        if not self._console.is_terminal:
            self._console.print(f"{title}; {self._times()})", highlight=False)

    def finish(self, job: Job) -> None:
        self._finished.add(job.name)
        self._progress.remove_task(self._tasks.pop(job.name))
        self._console.print(f"built {job.name} in {time.monotonic() - self._begun[job.name]:.0f} s", highlight=False)

    def refresh(self) -> None:
        title = f"{len(self._finished)} of {len(self._jobs)} built, {self._times()}"
        self._progress.update(self._total, description=title)

    def _times(self) -> str:
        now = time.monotonic()
        took = {name: (now - begun) / 60 for name, begun in self._begun.items() if name not in self._finished}
        elapsed = (now - self._start) / 60
        left = minutes_left(self._jobs, self._finished, took, elapsed)
        return f"{elapsed:.0f} min so far, about {left:.0f} min left"


def minutes_left(jobs: Sequence[Job], finished: Collection[str], running: Mapping[str, float], elapsed: float) -> float:
    """Estimate how many minutes the rest takes, at the pace so far.

    running: the jobs that run, and for how many minutes.
    elapsed: minutes since the first job began.
    """
    total = sum(job.minutes for job in jobs)
    done = sum(
        job.minutes if job.name in finished else min(running.get(job.name, 0), ALMOST * job.minutes) for job in jobs
    )
    pace = done / elapsed if done > SETTLED else min(LANES, os.cpu_count() or 1)
    return (total - done) / pace
