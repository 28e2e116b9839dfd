"""Commands that threads run in parallel, and that one call ends."""

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from threading import Lock
from typing import IO, Any

from lab.errors import LabError


class Processes:
    """Runs commands, each in a process group of its own."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._running: set[subprocess.Popen[str]] = set()
        self.are_over = False
        """Whether `end` was called."""

    def run(self, command: Sequence[str], log: IO[str], **where: Any) -> str:
        """Run a command, log its stderr, and return its stdout; the kernel kills it when this process ends.

        Raises subprocess.CalledProcessError if it fails or `end` ends it.
        """
        print("$", *command, file=log, flush=True)
        tied = ["setpriv", "--pdeathsig", "KILL", *command]
        with self._lock:
            if self.are_over:
                raise LabError("interrupted")
            process: subprocess.Popen[str] = subprocess.Popen(
                tied, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True, **where
            )
            self._running.add(process)
        try:
            output, _ = process.communicate()
        finally:
            with self._lock:
                self._running.remove(process)
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, command)
        return output

    def end(self) -> None:
        """End every running command and its child processes; from now on, `run` starts none."""
        with self._lock:
            self.are_over = True
            for process in self._running:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
