"""Where and when a verification ran: its commit, the versions of what it is made of, its begin and its duration."""

import importlib.metadata
import os
import platform
import ssl
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from outputs import VERSION

_GIT_SECONDS = 10
_CI_COMMITS = ("GITHUB_SHA", "CI_COMMIT_SHA", "BUILD_SOURCEVERSION", "GIT_COMMIT")
_PACKAGES = ("pulumi", "pulumi-kubernetes", "cryptography", "kubernetes")


@dataclass(frozen=True)
class Start:
    """The moment at which a verification began."""

    moment: datetime = field(default_factory=lambda: datetime.now(UTC))
    clock: float = field(default_factory=time.monotonic)

    def described(self) -> dict[str, Any]:
        """Return the begin in UTC, the seconds since then, the commit and the versions."""
        return {
            "began": f"{self.moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
            "seconds": round(time.monotonic() - self.clock, 1),
            "commit": {"tree": commit_of(Path()), "ci": ci_commit(os.environ)},
            "versions": versions(),
        }


def commit_of(directory: Path) -> str | None:
    """Return the commit of the project in a directory, with -dirty if a file of it differs from that commit.

    None without git, outside a work tree, or if the work tree is a different project's: it does not have Pulumi.yaml.
    """
    head = _git(directory, "rev-parse", "--verify", "HEAD")
    tracked = _git(directory, "ls-files", "--error-unmatch", "--", "Pulumi.yaml")
    changed = _git(directory, "status", "--porcelain", "--untracked-files=no")
    if not head or not tracked or changed is None:
        return None
    return f"{head}-dirty" if changed else head


def ci_commit(environment: Mapping[str, str]) -> dict[str, str] | None:
    """Return the variable by which a CI names the commit that it runs, and its value; None outside a CI."""
    named = ({"variable": name, "value": environment[name]} for name in _CI_COMMITS if environment.get(name))
    return next(named, None)


def versions() -> dict[str, str]:
    """Return the versions of Python, of the TLS library and packages, and of the contract of outputs."""
    packages = {name: importlib.metadata.version(name) for name in _PACKAGES}
    return {"outputs": VERSION, "python": platform.python_version(), "tls": ssl.OPENSSL_VERSION, **packages}


def _git(directory: Path, *arguments: str) -> str | None:
    """Return what git prints, without the last line's end; None if it fails."""
    try:
        done = subprocess.run(  # noqa: S603
            ["git", *arguments],  # noqa: S607
            cwd=directory,
            capture_output=True,
            text=True,
            timeout=_GIT_SECONDS,
            check=False,
            env=os.environ | {"GIT_OPTIONAL_LOCKS": "0"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
