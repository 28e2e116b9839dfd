"""Commands that tests run, and where the repository's files are."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[3]
MANIFESTS = Path(__file__).parents[1] / "manifests"
COMMAND_SECONDS = 600
"""The most that a command may take, on a machine where two tests run at a time."""


def run(*command: str, cwd: Path = ROOT, check: bool = True, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command; raise AssertionError with its output if it fails and `check` is set."""
    done = subprocess.run(
        command, cwd=cwd, check=False, capture_output=True, text=True, input=stdin, timeout=COMMAND_SECONDS
    )
    assert done.returncode == 0 or not check, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done
