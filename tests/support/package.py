"""The package of components as users install it."""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def install(directory: Path) -> Path:
    """Install the package from a copy of the repository, alone and without a network; return where it is now."""
    source, target = directory / "source", directory / "installed"
    # Builds leave files in their source, and take those that an earlier one left.
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(".*", "__pycache__", "build", "*.egg-info"))
    pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install")
    alone = ("--no-deps", "--no-index", "--no-build-isolation")
    done = subprocess.run([*pip, *alone, "--target", target, source], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return target
