"""Where the lab keeps its files."""

import os
from pathlib import Path


def cache_dir() -> Path:
    """Return KYMA_MTLS_CACHE, else kyma-mtls in the user's cache folder."""
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("KYMA_MTLS_CACHE") or caches / "kyma-mtls").absolute()


def parts_dir() -> Path:
    """Return the folder with the programs that the lab built, a folder for each part."""
    return cache_dir() / "parts"


def bin_dir() -> Path:
    """Return the folder with a link to each program, except plugins: Pulumi warns about those that it finds on PATH."""
    return cache_dir() / "bin"


def pulumi_home() -> Path:
    """Return the lab's own PULUMI_HOME."""
    return cache_dir() / "pulumi"
