"""A stack's file, read by the models of the config, without the key of its secrets."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from settings import PROJECT, ConfigError, Settings, read_config, stack_yaml

NAME = re.compile(r"Pulumi\.([A-Za-z0-9_.-]+)\.yaml")

_PREFIX = f"{PROJECT}:"
_STRUCTURES = ("target", "clients", "hosts")


def path_of(stack: str) -> str:
    """Return the name of a stack's file."""
    return f"Pulumi.{stack}.yaml"


@dataclass(frozen=True)
class StackFile:
    """The content of a stack's file.

    settings: its config; of the Kyma gateway, only whether there is one
    gateway: the keys of the Kyma gateway, as texts
    secrets: the ciphertext of each encrypted value, by its path
    """

    settings: Settings
    gateway: Mapping[str, str]
    secrets: Mapping[str, str]

    @classmethod
    def parse(cls, text: str) -> "StackFile":
        """Read the text of a stack's file; raise ConfigError if it is invalid."""
        config, secrets = _without_secrets(_config(text)), dict(_secrets("", _config(text)))
        for key in _STRUCTURES:
            if key in secrets:
                raise ConfigError(
                    f"{PROJECT}:{key}: encrypted as a whole, so reviewers cannot read it; "
                    f"encrypt only the secret keys in it, such as `pulumi config set --path --secret {key}.….key`"
                )
        texts = {key: _text(value) for key, value in config.items()}
        gateway = {key: texts.pop(key) for key in tuple(texts) if key.startswith("gateway")}
        if gateway.get("gatewayMode", "none") != "none":
            texts["gatewayMode"] = "selfSigned"  # the keys that the mode requires may be encrypted
        settings = read_config({f"{_PREFIX}{key}": value for key, value in texts.items()}, stack_file=text)
        return cls(settings, gateway, secrets)


def local_kubeconfigs(path: Path) -> list[str]:
    """Return the kubeconfig files that a stack's file names; raise ConfigError if it is no YAML."""
    config = _config(path.read_text())
    target, clients = _structure(config.get("target")), _structure(config.get("clients"))
    named = [cluster.get("kubeconfig") for cluster in (target, *map(_structure, clients.values()))]
    return [str(each) for each in named if each]


def _config(text: str) -> dict[str, Any]:
    try:
        return stack_yaml.load(text)
    except ValueError as error:
        raise ConfigError(str(error)) from None


def _is_secret(value: object) -> bool:
    return isinstance(value, dict) and set(value) == {"secure"}


def _secrets(path: str, value: Any) -> Iterator[tuple[str, str]]:
    if _is_secret(value):
        yield path, str(value["secure"])
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from _secrets(f"{path}.{key}" if path else str(key), each)
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _secrets(f"{path}[{index}]", each)


def _without_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_secrets(each) for key, each in value.items() if not _is_secret(each)}
    if isinstance(value, list):
        return [_without_secrets(each) for each in value if not _is_secret(each)]
    return value


def _text(value: Any) -> str:
    """Return a value as the engine gives it to the program."""
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value)


def _structure(value: object) -> dict[str, Any]:
    """Return a structure; `pulumi config set` without --path writes it as a JSON text."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return {}
    return value if isinstance(value, dict) else {}
