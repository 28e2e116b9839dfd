"""Virtual environments of programs that want other packages than the project's own environment has."""

import fcntl
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.support.commands import ROOT, run

SCANNER_REQUIREMENTS = Path(__file__).parents[1] / "scanner.txt"


@dataclass(frozen=True)
class Environments:
    """Environments in a directory, each made once, by the first worker that asks for it.

    directory: shared by all workers of a session
    """

    directory: Path

    def scanner(self) -> Path:
        """Return sslyze."""
        return self._once("scanner", lambda place: make_environment(place, SCANNER_REQUIREMENTS)) / "bin/sslyze"

    def policy_pack(self) -> Path:
        """Return the policy pack as a program, in a copy with an environment of its own."""

        def make(place: Path) -> None:
            shutil.copytree(ROOT / "policies", place, ignore=shutil.ignore_patterns(".venv", "__pycache__"))
            make_environment(place / ".venv", place / "requirements.txt")

        return self._once("policies", make) / "pulumi-analyzer-kyma-mtls"

    def _once(self, name: str, make: Callable[[Path], None]) -> Path:
        self.directory.mkdir(parents=True, exist_ok=True)
        place, done = self.directory / name, self.directory / f"{name}.done"
        with (self.directory / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not done.exists():
                shutil.rmtree(place, ignore_errors=True)
                make(place)
                done.touch()
        return place


def make_environment(directory: Path, requirements: Path) -> None:
    """Make a virtual environment with locked requirements."""
    uv, python = Path(sys.executable).with_name("uv"), directory / "bin" / "python"
    run(str(uv), "venv", "--quiet", str(directory))
    run(str(uv), "pip", "install", "--quiet", "--require-hashes", "--python", str(python), "-r", str(requirements))
