"""Runs jobs in parallel, shows their progress, and ends them all when one fails."""

import os
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from threading import Event

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

LANES = 2
"""Jobs at a time: while one links or downloads, which takes one core or none, the second one compiles."""
ALMOST = 0.9
"""The largest share of a running job that counts as done."""
SETTLED = 1
"""Minutes of processor time after which the estimate goes by the pace so far, not by the number of cores."""
PAUSE = 0.2
"""Seconds between two attempts to end the running jobs."""


@dataclass(frozen=True)
class Job:
    """A piece of work.

    name: for the progress display and `after`.
    minutes: of processor time that it takes, for the estimate.
    run: does it, in a thread; returns why the job was left undone, or None; an exception ends all jobs.
    end: makes `run` return soon; called again and again until it has.
    after: names of jobs to finish before this one starts; names that are not among the jobs do not count.
    """

    name: str
    minutes: float
    run: Callable[[], str | None]
    end: Callable[[], None]
    after: Collection[str] = ()


def run(jobs: Sequence[Job], console: Console) -> None:
    """Run the jobs, LANES at a time and in this order as far as `after` allows; report each.

    When a job fails or the user interrupts, end the running jobs, then raise that exception.
    """
    display, workers = _Display(jobs, console), _Workers(console)
    with display, ThreadPoolExecutor(LANES) as pool:
        waiting, running = list(jobs), dict[Future[str | None], Job]()
        try:
            while waiting or running:
                while len(running) < LANES and (job := _next(waiting, running.values())):
                    waiting.remove(job)
                    display.begin(job)
                    running[pool.submit(workers.run, job)] = job
                for future in wait(running, timeout=1, return_when=FIRST_COMPLETED).done:
                    display.finish(running.pop(future), future.result())
                display.refresh()
        except BaseException:
            workers.end()
            raise


def _next(waiting: Sequence[Job], running: Collection[Job]) -> Job | None:
    unfinished = {job.name for job in (*waiting, *running)}
    return next((job for job in waiting if not unfinished & set(job.after)), None)


class _Workers:
    """Run jobs in threads, and end them all.

    Each thread registers its job itself: an interrupt, which reaches the main thread only, misses none.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._running: dict[str, Job] = {}
        self._are_over = Event()

    def run(self, job: Job) -> str | None:
        """Run a job in the calling thread; once `end` was called, do nothing."""
        self._running[job.name] = job
        try:
            return None if self._are_over.is_set() else job.run()
        finally:
            del self._running[job.name]

    def end(self) -> None:
        """End the running jobs, again and again until none is left; print the reasons why this fails, each once."""
        self._are_over.set()
        reasons = set[str]()
        while running := list(self._running.values()):
            for job in running:
                try:
                    job.end()
                except Exception as error:  # the next job is ended all the same
                    if (reason := f"{job.name} does not end yet: {error}") not in reasons:
                        reasons.add(reason)
                        self._console.print(reason, style="yellow", markup=False, highlight=False)
            time.sleep(PAUSE)


class _Display:
    """Print a line when a job begins and when it ends; on a terminal, show the running jobs instead of the former."""

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

    def finish(self, job: Job, why_left: str | None) -> None:
        self._finished.add(job.name)
        self._progress.remove_task(self._tasks.pop(job.name))
        took = f"built {job.name} in {time.monotonic() - self._begun[job.name]:.0f} s"
        self._console.print(f"{job.name}: {why_left}" if why_left else took, highlight=False)

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
