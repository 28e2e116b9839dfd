"""The end of the lab: `down` leaves nothing of it. These tests run last, and alone."""

from collections.abc import Iterator

import pytest

from lab.node import CLIENTS
from tests.e2e.support.commands import run
from tests.e2e.support.lab import Lab
from tests.e2e.support.machine import LAB, first_processes, leftovers, start
from tests.e2e.support.session import await_other_workers, is_own
from tests.e2e.support.waiting import eventually


@pytest.fixture(scope="module")
def lab_to_end(lab: Lab, request: pytest.FixtureRequest) -> Iterator[Lab]:
    """A lab that no other worker uses any more; afterwards it is up again if the developer's."""
    await_other_workers(request.config)
    yield lab
    if not is_own(request.config):
        run(*LAB, "up", "--clients", "2")


@pytest.mark.usefixtures("lab_to_end")
def test_restart_of_a_cluster_that_is_not_running_is_refused() -> None:
    CLIENTS[-1].end()
    refused = run(*LAB, "restart", CLIENTS[-1].name, check=False)
    assert refused.returncode == 1
    assert refused.stderr == "client4 is not running: `python -m lab up` boots the lab\n"


@pytest.mark.usefixtures("lab_to_end")
def test_down_leaves_nothing_of_a_lab_that_was_killed_while_a_cluster_booted() -> None:
    before = first_processes("client2")
    with start("restart", "client2") as booting:
        eventually(
            lambda: first_processes("client2").get("client2", before["client2"]) != before["client2"], "the boot began"
        )
        booting.kill()
    assert leftovers(), "it was killed half-way"
    assert "client2" in run(*LAB, "status", check=False).stdout
    run(*LAB, "down")
    assert leftovers() == []
    assert run(*LAB, "status", check=False).stderr == "the lab is not up: run `python -m lab up`\n"
    run(*LAB, "down")
