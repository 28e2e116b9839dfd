"""Commands that threads run, and their end."""

import io
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.processes import Processes


def test_command_gives_its_output_and_logs_itself(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as log:
        assert Processes().run(["sh", "-c", "echo given; echo logged >&2"], log) == "given\n"
    assert (tmp_path / "log").read_text() == "$ sh -c echo given; echo logged >&2\nlogged\n"


def test_end_ends_commands_with_what_they_started(tmp_path: Path) -> None:
    processes = Processes()
    script = f"sleep 100 & echo $! > {tmp_path}/partial; mv {tmp_path}/partial {tmp_path}/child; wait"
    with (tmp_path / "log").open("w") as log, ThreadPoolExecutor() as pool:
        run = pool.submit(processes.run, ["sh", "-c", script], log)
        while not (tmp_path / "child").exists():
            time.sleep(0.01)
        processes.end()
        assert isinstance(run.exception(10), subprocess.CalledProcessError)
    child = Path("/proc", (tmp_path / "child").read_text().strip(), "stat")
    for _ in range(100):
        if not child.exists() or child.read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.05)
    pytest.fail("the command's child should have ended")


def test_ended_processes_start_no_other() -> None:
    processes = Processes()
    processes.end()
    with pytest.raises(LabError):
        processes.run(["true"], io.StringIO())
