"""The schedule of the end-to-end tests: each file runs once, by a worker that has the clusters which it needs."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.e2e.support.schedule import FOR_FIRST_WORKER, LAST, SECONDS, ClusterScheduling, seconds
from tests.e2e.support.session import WORKER_INPUT

FILES = {path.stem for folder in ("e2e", "machine") for path in Path(__file__).parents[1].glob(f"{folder}/test_*.py")}
TESTS_IN_A_FILE = 3


class Worker:
    """A worker that takes tests, and runs each as soon as it knows the next one."""

    def __init__(self, number: int) -> None:
        self.workerinput = {WORKER_INPUT: number}
        self.gateway = SimpleNamespace(id=f"gw{number - 1}")
        self.shutting_down = False
        self.queue: list[int] = []
        self.ran: list[int] = []

    def send_runtest_some(self, indices: list[int]) -> None:
        assert not self.shutting_down
        self.queue += indices

    def shutdown(self) -> None:
        self.shutting_down = True

    def step(self, scheduling: Any) -> float:
        """Run the next test; return how long it takes, 0 if it cannot begin."""
        if not self.queue or (len(self.queue) == 1 and not self.shutting_down):
            return 0
        index = self.queue.pop(0)
        self.ran.append(index)
        scheduling.mark_test_complete(self, index)
        return max(seconds(scheduling.collection[index].partition("::")[0]), 1) / TESTS_IN_A_FILE


def run(files: set[str], workers: int) -> list[list[str]]:
    """Run files, by workers that take the time which the schedule expects; return the files of each, in order."""
    options = SimpleNamespace(loadscopereorder=False)
    config: Any = SimpleNamespace(getvalue=lambda _: ["popen"] * workers, option=options)
    scheduling = ClusterScheduling(config)
    nodes = [Worker(number) for number in range(workers, 0, -1)]  # they are ready in any order
    tests = [f"tests/{name}.py::test_{number}" for name in sorted(files) for number in range(TESTS_IN_A_FILE)]
    for node in nodes:
        scheduling.add_node(node)
        scheduling.add_node_collection(node, tests)
    scheduling.schedule()
    clocks = dict.fromkeys(nodes, 0.0)
    waiting: set[Worker] = set()
    while len(waiting) < workers:
        node = min((each for each in nodes if each not in waiting), key=lambda each: clocks[each])
        took = node.step(scheduling)
        clocks[node] += took
        waiting = {*waiting, node} if not took else set()
    assert not scheduling.workqueue
    assert all(node.shutting_down and not node.queue for node in nodes)
    ran = sorted((node.workerinput[WORKER_INPUT], list(dict.fromkeys(node.ran))) for node in nodes)
    assert sorted(index for _, indices in ran for index in indices) == list(range(len(tests))), "each once"
    return [list(dict.fromkeys(tests[index].partition("::")[0][6:-3] for index in indices)) for _, indices in ran]


def test_schedule_knows_how_long_each_file_takes() -> None:
    assert set(SECONDS) == FILES


def test_schedule_gives_the_first_worker_what_needs_its_clusters_and_ends_the_lab_last() -> None:
    first, second = run(FILES, 2)
    assert set(first) >= FOR_FIRST_WORKER
    assert first[-1] == LAST
    assert not set(second) & {*FOR_FIRST_WORKER, LAST}
    loads = [sum(map(seconds, names)) for names in (first, second)]
    assert abs(loads[0] - loads[1]) < max(SECONDS.values()), loads


@pytest.mark.parametrize("files", [{"test_life"}, {"test_kyma"}, {LAST}, {"test_life", LAST}])
def test_schedule_runs_a_few_files_of_any_worker(files: set[str]) -> None:
    for workers in (1, 2):
        ran = run(files, workers)
        assert sorted(name for names in ran for name in names) == sorted(files)
