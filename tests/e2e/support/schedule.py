"""Which tests run where, and when: a file is one unit of work, for a worker that has the clusters which it needs."""

from pathlib import PurePath

import pytest
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

from tests.e2e.support.session import WORKER_INPUT

SECONDS = {
    "test_life": 244,
    "test_hosts": 218,
    "test_kyma": 182,
    "test_pipeline": 131,
    "test_rotation": 128,
    "test_stack": 120,
    "test_gateway": 111,
    "test_examples": 98,
    "test_verification": 97,
    "test_gardener": 96,
    "test_rights": 92,
    "test_bad_input": 78,
    "test_lab": 85,
    "test_judged": 65,
    "test_gateways_elsewhere": 50,
    "test_policies": 39,
    "test_package": 28,
    "test_lab_down": 14,
    "test_machine": 8,
    "test_proxies": 60,
    "test_in_clear": 70,
    "test_certificates": 10,
    "test_evidence": 20,
}
"""How long each file takes, about: those that take longest begin first, so that all workers end at about one time."""
UNKNOWN_SECONDS = 60
FOR_FIRST_WORKER = {"test_hosts", "test_life", "test_pipeline", "test_lab", "test_machine"}
"""Files that need three clusters, or the machine's cgroups as they are."""
LAST = "test_lab_down"
"""The file that ends the lab."""


def seconds(scope: str) -> int:
    """Return how long a file takes."""
    return SECONDS.get(PurePath(scope).stem, UNKNOWN_SECONDS)


def is_last(scope: str) -> bool:
    """Return whether all other files come before a file."""
    return PurePath(scope).stem == LAST


def suits(scope: str, worker: int) -> bool:
    """Return whether a worker can run a file."""
    return worker == 1 or PurePath(scope).stem not in {*FOR_FIRST_WORKER, LAST}


class ClusterScheduling(LoadScopeScheduling):  # type: ignore[misc] # pytest-xdist has no types
    """Gives each worker the longest file that only it can run, or else the longest one."""

    def schedule(self) -> None:
        """Begin with the first worker, which can run everything: if there are fewer files than workers, it stays."""
        for node in sorted(self.nodes, key=_number):
            self.assigned_work[node] = self.assigned_work.pop(node)
        super().schedule()

    def _split_scope(self, nodeid: str) -> str:
        return nodeid.partition("::")[0]

    def _assign_work_unit(self, node: WorkerController) -> None:
        if scope := self._next(node):
            self.workqueue.move_to_end(scope, last=False)
            super()._assign_work_unit(node)
        else:
            node.shutdown()

    def _reschedule(self, node: WorkerController) -> None:
        if self._next(node) or node.shutting_down:
            super()._reschedule(node)
        else:
            node.shutdown()

    def _next(self, node: WorkerController) -> str | None:
        """Return the file that a worker is to run next; None if there is none for it."""
        worker, others = _number(node), {_number(each) for each in self.nodes if each is not node}
        possible = [scope for scope in self.workqueue if suits(scope, worker)]
        return max(
            possible,
            key=lambda scope: (not is_last(scope), not any(suits(scope, each) for each in others), seconds(scope)),
            default=None,
        )


def _number(node: WorkerController) -> int:
    return int(node.workerinput[WORKER_INPUT])


class Schedule:
    """Gives workers their numbers, and their tests."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._scheduling: ClusterScheduling | None = None

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: WorkerController) -> None:
        """Give a worker the first number that is free: one that follows a crashed worker has its clusters."""
        number = next(each for each in range(1, 1000) if each not in self._numbers.values())
        self._numbers[node.gateway.id] = node.workerinput[WORKER_INPUT] = number

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: WorkerController) -> None:
        """Free the number of a worker that has ended."""
        self._numbers.pop(node.gateway.id, None)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: object) -> ClusterScheduling:
        """Schedule files by the clusters which they need."""
        self._scheduling = ClusterScheduling(config, log)
        return self._scheduling

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail a run that ends well although files are left."""
        if self._scheduling and self._scheduling.workqueue and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.INTERNAL_ERROR
