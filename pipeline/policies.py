"""The policy pack that judges every preview and every update of a stack, and its config."""

from collections.abc import Collection
from pathlib import Path

from settings import ConfigError

FOLDER = "policies/"
PACK = Path(FOLDER, "pulumi-analyzer-kyma-mtls")
"""The program of the pack, which the engine starts."""
_CONFIGS = f"{FOLDER}config/"


def config_of(stack: str) -> Path:
    """Return the path of a stack's config for the pack; without such a file, every policy has its defaults."""
    return Path(f"{_CONFIGS}{stack}.json")


def options(stack: str) -> list[str]:
    """Return the options of the engine by which the pack judges a stack; raise ConfigError if there is no pack."""
    if not PACK.is_file():
        raise ConfigError(f"{PACK}: no such file, so no policy can judge {stack}; run this command in the project")
    config = config_of(stack)
    return ["--policy-pack", str(PACK), *(["--policy-pack-config", str(config)] if config.is_file() else [])]


def concern(stack: str, changed: Collection[str]) -> bool:
    """Return whether one of these changed files is part of the pack, or its config for this stack."""
    return any(
        path == str(config_of(stack)) or (path.startswith(FOLDER) and not path.startswith(_CONFIGS)) for path in changed
    )
