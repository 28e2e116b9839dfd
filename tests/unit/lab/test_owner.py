"""One lab on a machine, with one lab owner, which commands of no other checkout or cache change."""

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from rich.console import Console

from lab import owner
from lab.errors import LabError

CONSOLE = Console(file=io.StringIO())
IN_USE = """
import sys
from pathlib import Path
from lab import owner
owner.PLACE = Path(sys.argv[1])
with owner.session("the tests"):
    print("using", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def _own_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(owner.SESSION, raising=False)
    monkeypatch.setattr(owner, "PLACE", tmp_path / "run")
    (tmp_path / "run").mkdir()
    become("/checkout", "/cache", monkeypatch)


def become(checkout: str, cache: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owner, "CHECKOUT", Path(checkout))
    monkeypatch.setenv("KYMA_MTLS_CACHE", cache)


def change(*, running: bool = True, force: bool = False) -> None:
    with owner.change(lambda: running, CONSOLE, force=force):
        pass


@contextmanager
def session_of_another_process() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", IN_USE, str(owner.PLACE)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "using\n"
        yield process
        process.kill()


@pytest.mark.parametrize(("checkout", "cache"), [("/other", "/cache"), ("/checkout", "/other")])
def test_running_lab_of_another_checkout_or_cache_is_not_changed(
    monkeypatch: pytest.MonkeyPatch, checkout: str, cache: str
) -> None:
    owner.record()
    change()
    become(checkout, cache, monkeypatch)
    with pytest.raises(LabError) as refused:
        change()
    assert str(refused.value) == (
        "the lab on this machine belongs to the checkout /checkout with the cache /cache: run `python -m lab down` "
        "there; `python -m lab down --force` ends the lab and loses all objects deployed into it"
    )
    with pytest.raises(LabError, match="belongs to the checkout /checkout with the cache /cache: run this there"):
        owner.require()
    change(force=True)


def test_lab_that_does_not_run_any_more_is_free_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    owner.record()
    become("/other", "/cache", monkeypatch)
    change(running=False)
    owner.record()
    assert owner.recorded() == owner.Owner("/other", "/cache")


def test_forgotten_lab_has_no_owner() -> None:
    owner.record()
    owner.require()
    owner.forget()
    with pytest.raises(LabError, match="the lab is not up"):
        owner.require()


def test_lab_in_use_is_changed_by_its_session_only() -> None:
    with owner.session("the tests"):
        change()
        with session_environment_of_others(), pytest.raises(LabError, match=r"in use by the tests \(process \d+\)"):
            change()
        with session_environment_of_others():
            change(force=True)
    with session_environment_of_others():
        change()


@contextmanager
def session_environment_of_others() -> Iterator[None]:
    mine = os.environ.pop(owner.SESSION, None)
    try:
        yield
    finally:
        if mine:
            os.environ[owner.SESSION] = mine


def test_second_session_is_refused_while_the_first_lasts() -> None:
    with session_of_another_process() as process:
        with pytest.raises(LabError, match=rf"in use by the tests \(process {process.pid}\)"), owner.session("others"):
            pass
        with pytest.raises(LabError, match=rf"in use by the tests \(process {process.pid}\)"):
            change()
    with owner.session("others"):
        pass


def test_session_of_a_killed_process_is_over() -> None:
    with session_of_another_process() as process:
        process.kill()
        process.wait()
        change()


def test_change_waits_for_another_one() -> None:
    text = io.StringIO()
    command = [sys.executable, "-c", "import fcntl, sys, time; fcntl.flock(0, fcntl.LOCK_EX); print(); time.sleep(600)"]
    with (
        (owner.PLACE / "lock").open("w") as lock,
        subprocess.Popen(command, stdin=lock, stdout=subprocess.PIPE) as process,
    ):
        assert process.stdout
        process.stdout.readline()
        console = Console(file=text)
        console_print = console.print

        def print_and_kill(*arguments: object) -> None:
            console_print(*arguments)
            process.kill()

        console.print = print_and_kill  # type: ignore[method-assign, assignment]
        lock.close()
        with owner.change(lambda: True, console):
            process.wait()
    assert text.getvalue() == "Waiting for another `python -m lab` to finish\n"
