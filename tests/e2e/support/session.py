"""The lab of a test session: booted once, and shared by workers that have clusters of their own.

With pytest-xdist, the process that was started boots the lab, and its workers use it. Without, the tests' own process
does both, and has the clusters of the first worker.
"""

import fcntl
import os
import subprocess
import sys
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from lab import owner
from lab.node import NODES, Node
from tests.e2e.support import names
from tests.e2e.support.commands import ROOT, run
from tests.e2e.support.lab import Lab

WORKERS = {
    1: {"target": "target", "client": "client", "client2": "client2"},
    2: {"target": "client3", "client": "client4"},
}
"""Which of the lab's clusters each worker has, by their roles in the tests."""
CLIENTS = {1: 2, 2: 4}
"""How many client clusters the lab needs for each worker."""
WORKER_INPUT = "lab_worker"
"""The key of a worker's number in the input that pytest-xdist gives it."""
LAB = pytest.StashKey[Lab]()
"""The clusters of this process, once it uses them."""


def worker(config: pytest.Config) -> int:
    """Return the number of the worker that this process is."""
    return int(getattr(config, "workerinput", {}).get(WORKER_INPUT) or config.getoption("--lab-worker") or 1)


def nodes(number: int) -> dict[str, Node]:
    """Return the clusters of a worker, by their roles."""
    named = {node.name: node for node in NODES}
    return {role: named[name] for role, name in WORKERS[number].items()}


def is_own(config: pytest.Config) -> bool:
    """Return whether the session has a lab of its own, which ends with it."""
    return not (config.getoption("--running-lab") or config.getoption("--lab-worker"))


def shared_directory(config: pytest.Config) -> Path:
    """Return the temporary directory that the workers of a session share."""
    own: Path = config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]
    return own.parent if hasattr(config, "workerinput") else own


@contextmanager
def clusters(config: pytest.Config) -> Iterator[Lab]:
    """Use the clusters of this process's worker; boot them unless that is done."""
    mine = worker(config)
    with ExitStack() as held:
        if not hasattr(config, "workerinput"):
            held.enter_context(booted(config, {mine}))
        held.enter_context(in_use(mine))
        directory = _kubeconfigs(mine, shared_directory(config) / f"clusters-{mine}")
        files = ":".join(str(directory / f"{role}.kubeconfig") for role in WORKERS[mine])
        held.enter_context(_exported({"KUBECONFIG": files}))
        found = Lab(directory, nodes(mine))
        config.stash[LAB] = found
        yield found


@contextmanager
def booted(config: pytest.Config, workers: Collection[int]) -> Iterator[None]:
    """Boot the clusters of workers, and export what programs need to use them.

    They are empty, and end with the context, unless the running lab is to be used.
    """
    with ExitStack() as held:
        if not config.getoption("--lab-worker"):
            held.enter_context(owner.session(f"the end-to-end tests of {ROOT}"))
            for each in WORKERS:
                with in_use(each):
                    pass
        if is_own(config):
            _lab("down")
            held.callback(_lab, "down")
        _lab("up", "--clients", str(max(CLIENTS[each] for each in workers)))
        held.enter_context(_exported(_environment()))
        for each in workers:
            names.resolve(nodes(each))
        yield


@contextmanager
def in_use(number: int) -> Iterator[None]:
    """Use a worker's clusters, until the context or the process ends; raise UsageError if other tests do."""
    with _lock(number).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise pytest.UsageError(f"other tests are using the clusters of worker {number}") from None
        yield


def await_other_workers(config: pytest.Config) -> None:
    """Wait until no other worker uses its clusters any more."""
    for other in set(WORKERS) - {worker(config)}:
        with _lock(other).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)


def _lock(number: int) -> Path:
    return owner.PLACE / f"tests-{number}"


def _lab(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "lab", *arguments], cwd=ROOT, check=True)


def _environment() -> dict[str, str]:
    """Return what `python -m lab env` exports, with all else that is exported already."""
    command = f'environment="$({sys.executable} -m lab env)" && eval "$environment" && env -0'
    printed = run("bash", "-c", command).stdout
    return dict(line.split("=", 1) for line in printed.split("\0") if "=" in line)


@contextmanager
def _exported(variables: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _kubeconfigs(number: int, directory: Path) -> Path:
    """Return where a worker's kubeconfigs are: each is called as its cluster's role is, and its context, too."""
    own = ROOT / ".lab"
    if all(role == name for role, name in WORKERS[number].items()):
        return own
    directory.mkdir(mode=0o700, exist_ok=True)
    for role, name in WORKERS[number].items():
        file = directory / f"{role}.kubeconfig"
        file.touch(mode=0o600)
        file.write_text((own / f"{name}.kubeconfig").read_text().replace(f": {name}", f": {role}"))
    return directory
