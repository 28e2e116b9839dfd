"""Runs and their locks: which run is known to be over."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from verification import runs

BEGIN = "import sys; from verification import runs; print(runs.begin(), flush=True); sys.stdin.read()"


@pytest.fixture(autouse=True)
def temporary(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder of temporary files, for this test alone."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def locks(temporary: Path) -> Path:
    return temporary / f"kyma-mtls-verification-{os.getuid()}"


@contextmanager
def other_process(temporary: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Begin a run in another process; yield that, and the run's id."""
    environment = os.environ | {"TMPDIR": str(temporary), "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", BEGIN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout
        yield process, process.stdout.readline().strip()
        process.kill()


def test_run_is_over_once_its_process_has_ended_by_whatever_signal(temporary: Path) -> None:
    with other_process(temporary) as (process, run):
        assert not runs.is_over(run)
        assert not runs.is_over(run), "the question itself does not release the lock"
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert runs.is_over(run)


def test_run_of_this_process_is_not_over(temporary: Path) -> None:
    first, second = runs.begin(), runs.begin()
    assert first != second
    assert not runs.is_over(first)
    assert not runs.is_over(second)
    assert {path.name for path in locks(temporary).iterdir()} == {first, second}


def ended(temporary: Path) -> str:
    with other_process(temporary) as (process, run):
        process.kill()
        process.wait()
    assert runs.is_over(run)
    return run


def test_run_in_another_file_system_is_not_known_to_be_over(
    monkeypatch: pytest.MonkeyPatch, temporary: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    run = ended(temporary)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("container")))
    assert not runs.is_over(run)


def test_run_under_another_kernel_is_not_known_to_be_over(monkeypatch: pytest.MonkeyPatch, temporary: Path) -> None:
    run = ended(temporary)
    monkeypatch.setattr(runs, "_BOOT", temporary / "boot_id")
    assert not runs.is_over(run), "a system without ids of boots"
    (temporary / "boot_id").write_text("of a machine that shares the folder")
    assert not runs.is_over(run)


def test_lock_in_a_folder_that_others_may_write_proves_nothing(temporary: Path) -> None:
    run = ended(temporary)
    locks(temporary).chmod(0o777)
    assert not runs.is_over(run)
    assert runs.begin() != run, "a run begins all the same, without a lock"
    assert [path.name for path in locks(temporary).iterdir()] == [run]


def test_run_begins_without_a_place_for_its_lock(temporary: Path) -> None:
    locks(temporary).touch()
    assert len(runs.begin()) == 16


@pytest.mark.parametrize("run", ["", "..", "host/1", "0123456789abcdeg", "0123456789abcdef"])
def test_unknown_run_is_not_known_to_be_over(run: str) -> None:
    runs.begin()
    assert not runs.is_over(run)


def test_old_locks_go_and_those_of_living_and_recent_runs_stay(temporary: Path) -> None:
    recent, old, living = ended(temporary), ended(temporary), runs.begin()
    for run in (old, living):
        os.utime(locks(temporary) / run, (0, 0))
    begun = runs.begin()
    assert {path.name for path in locks(temporary).iterdir()} == {recent, living, begun}
    assert not runs.is_over(living)
