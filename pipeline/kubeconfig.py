"""The kubeconfig of a job, from a secret of its GitHub environment."""

import os
from pathlib import Path

import yaml

from settings import ConfigError

VARIABLE = "KUBECONFIG_CONTENT"


def write() -> Path:
    """Write the variable's content to a file that only this user can read; set KUBECONFIG for the job's next steps.

    Return the file; raise ConfigError if a variable is missing, or if the content is no kubeconfig.
    """
    content, folder, variables = (os.environ.get(name) for name in (VARIABLE, "RUNNER_TEMP", "GITHUB_ENV"))
    if not folder or not variables:
        raise ConfigError("RUNNER_TEMP and GITHUB_ENV must be set, as in a step of a workflow")
    if not content:
        raise ConfigError(f"{VARIABLE} is empty: set the secret KUBECONFIG in the job's GitHub environment")
    if not _is_kubeconfig(content):
        raise ConfigError(
            f"{VARIABLE} is no kubeconfig with contexts; correct the secret KUBECONFIG of the environment"
        )
    path = Path(folder, "kubeconfig")
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(content)
    with Path(variables).open("a") as file:
        file.write(f"KUBECONFIG={path}\n")
    return path


def _is_kubeconfig(content: str) -> bool:
    try:
        return bool(yaml.safe_load(content)["contexts"])
    except (yaml.YAMLError, KeyError, TypeError):
        return False
