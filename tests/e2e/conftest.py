"""Fixtures of the end-to-end tests: the lab, and a project of its user."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.support import session
from tests.e2e.support.environments import Environments
from tests.e2e.support.lab import Inventory, Lab
from tests.e2e.support.progress import Progress
from tests.e2e.support.project import Project
from tests.e2e.support.words import ClusterReport


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a developer try tests in the running lab."""
    parser.addoption("--running-lab", action="store_true", help="use the running lab, and leave it running")
    parser.addoption(
        "--lab-worker",
        type=int,
        choices=sorted(session.WORKERS),
        help="use this worker's clusters of the running lab alone, beside another session that uses the other's",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Boot the lab for all workers, give each of them clusters, and let failures show what those say."""
    config.pluginmanager.register(ClusterReport())
    is_worker = hasattr(config, "workerinput")
    if not is_worker:
        config.pluginmanager.register(Progress())
    if not is_worker and config.getoption("dist", "no") != "no":
        from tests.e2e.support import controller, schedule  # noqa: PLC0415 - they need pytest-xdist

        config.pluginmanager.register(controller.Controller())
        config.pluginmanager.register(schedule.Schedule())


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """Let Pulumi end its plugins by SIGINT: a shell's background jobs ignore it, and Pulumi would wait 5 s for each.

    Programs that tests interrupt by SIGHUP get it, too, where the tests run under nohup.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="session")
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """The clusters of this worker."""
    with session.clusters(request.config) as clusters:
        yield clusters


@pytest.fixture(scope="session")
def project(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A checkout with a backend and a passphrase of its own."""
    return Project.copied(lab, tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="session")
def environments(request: pytest.FixtureRequest) -> Environments:
    """Environments of other programs, which are made beside the boot of the lab."""
    return Environments(session.shared_directory(request.config) / "environments")


@pytest.fixture(scope="session")
def policy_pack(environments: Environments) -> Path:
    """The policy pack as a program."""
    return environments.policy_pack()


@pytest.fixture(scope="session")
def scanner(environments: Environments) -> Path:
    """The program sslyze."""
    return environments.scanner()


@pytest.fixture(scope="module")
def before(lab: Lab) -> Inventory:
    """The objects of each cluster of a stack, before the first test of the module."""
    return lab.inventory("target", "client")
