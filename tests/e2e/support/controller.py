"""The process that the workers of pytest-xdist belong to: it boots the lab for them, and leaves no process behind."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path

import pytest
from xdist.workermanage import WorkerController, parse_tx_spec_config

from tests.e2e.support.environments import Environments
from tests.e2e.support.session import WORKERS, booted, shared_directory

RUN = "PYTEST_XDIST_TESTRUNUID"
"""In the environment of what a worker starts: the run that it belongs to."""


class Controller:
    """Has the lab for as long as there are workers."""

    def __init__(self) -> None:
        self._held = ExitStack()
        self._run = ""

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Boot the lab before the workers start, and make environments that tests need meanwhile."""
        config = session.config
        if config.option.collectonly:
            return
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
        count = len(parse_tx_spec_config(config))
        if count > len(WORKERS) or config.getoption("--lab-worker"):
            raise pytest.UsageError(f"end-to-end tests have clusters for {len(WORKERS)} workers, or for --lab-worker")
        with ExitStack() as held, _visible(config):
            held.enter_context(_in_background(Environments(shared_directory(config) / "environments")))
            held.enter_context(booted(config, range(1, count + 1)))
            self._held = held.pop_all()

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: WorkerController) -> None:
        """Remember the run."""
        self._run = node.workerinput["testrunuid"]

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """End what workers left running, as when they are interrupted, and the lab."""
        if self._run:
            end_processes(self._run)
        with _visible(session.config):
            self._held.close()


@contextmanager
def _in_background(environments: Environments) -> Iterator[None]:
    """Make the environments; a test that needs one waits for it, and fails with the reason if it cannot be made."""
    pool = ThreadPoolExecutor()
    pool.submit(environments.policy_pack)
    pool.submit(environments.scanner)
    try:
        yield
    finally:
        pool.shutdown(cancel_futures=True)


def _visible(config: pytest.Config) -> AbstractContextManager[None]:
    """Let the lab say how far its boot is."""
    capture = config.pluginmanager.getplugin("capturemanager")
    return capture.global_and_fixture_disabled() if capture else nullcontext()


def end_processes(run: str) -> None:
    """Kill what a run's workers have started, but for the lab itself, which has cgroups of its own."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            is_of_run = f"{RUN}={run}\0".encode() in (process / "environ").read_bytes()
            if is_of_run and "kyma-lab" not in (process / "cgroup").read_text():
                os.kill(int(process.name), signal.SIGKILL)
