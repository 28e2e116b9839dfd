"""The config of a stack, by its models: from its file, without the key of its secrets, or as it was deployed."""

import hashlib
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from settings import PROJECT, ConfigError, Settings, read_config, stack_yaml

NAME = re.compile(r"Pulumi\.([A-Za-z0-9_.-]+)\.yaml")

Values = Mapping[str, Mapping[str, Any]]
"""A config as the engine prints it, secrets in clear: `value` (a text), `objectValue` and `secret` of each key."""

_PREFIX = f"{PROJECT}:"
_STRUCTURES = ("target", "clients", "hosts")
# https://github.com/pulumi/pulumi/blob/master/pkg/cmd/pulumi/stack/stack_history.go
_NOT_DECRYPTED = "ERROR_UNABLE_TO_DECRYPT"

_IsSecret = Callable[[str, Any], bool]
"""Says of a path in the config and its value whether it is a secret."""


def path_of(stack: str) -> str:
    """Return the name of a stack's file."""
    return f"Pulumi.{stack}.yaml"


def read(stack: str) -> str:
    """Return the text of a stack's file; raise ConfigError if it is not text."""
    try:
        return Path(path_of(stack)).read_text()
    except UnicodeDecodeError:
        raise ConfigError(f"{path_of(stack)}: not UTF-8") from None


@dataclass(frozen=True)
class StackFile:
    """The config of a stack, as its file has it, or as an update deployed it.

    settings: its config; of the Kyma gateway, only whether there is one
    gateway: the keys of the Kyma gateway, as texts
    secrets: of each encrypted value, by its path, a text that differs if the value does
    hidden: keys whose values may not be shown: they were deployed with a secret at an unknown place
    """

    settings: Settings
    gateway: Mapping[str, str]
    secrets: Mapping[str, str]
    hidden: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, text: str) -> "StackFile":
        """Read the text of a stack's file; raise ConfigError if it is invalid."""
        config = _config(text)
        secrets = {path: str(value["secure"]) for path, value in _secrets("", config, _is_encrypted)}
        for key in _STRUCTURES:
            if key in secrets:
                raise ConfigError(
                    f"{PROJECT}:{key}: encrypted as a whole, so reviewers cannot read it; "
                    f"encrypt only the secret keys in it, such as `pulumi config set --path --secret {key}.….key`"
                )
        settings, gateway = _settings(_without_secrets("", config, _is_encrypted), text)
        return cls(settings, gateway, secrets)

    @classmethod
    def deployed(cls, values: Values, encrypted: Collection[str]) -> "StackFile":
        """Read the config of an update; raise ConfigError, without any value, if it is invalid.

        The engine says of a structure only whether any part of it is secret.

        encrypted: the paths of the values that the stack's file encrypts
        """
        config = _plain(values)
        hidden = {key for key in config if values[f"{_PREFIX}{key}"]["secret"]}
        secret = {*encrypted, *(key for key in hidden if isinstance(config[key], str))}

        def is_secret(path: str, _: object) -> bool:
            return path in secret or (path.partition(".")[0] in hidden and path.endswith(".key"))

        secrets = {path: _digest(value) for path, value in _secrets("", config, is_secret)}
        try:
            settings, gateway = _settings(_without_secrets("", config, is_secret))
        except ConfigError as error:
            paths = dict.fromkeys(each.partition(": ")[0] for each in str(error).splitlines())
            raise ConfigError(f"the deployed config is not valid any more: {', '.join(paths)}") from None
        return cls(settings, gateway, secrets, frozenset(hidden))

    def decrypted(self, values: Values) -> "StackFile":
        """Return this config with secrets that can be compared with deployed ones.

        values: the same config, as the engine prints it
        """
        found = _secrets("", _plain(values), lambda path, _: path in self.secrets)
        return replace(self, secrets={path: _digest(value) for path, value in found})


def local_kubeconfigs(text: str) -> list[str]:
    """Return the kubeconfig files that the text of a stack's file names; raise ConfigError if it is no YAML."""
    config = _config(text)
    target, clients = _structure(config.get("target")), _structure(config.get("clients"))
    named = [cluster.get("kubeconfig") for cluster in (target, *map(_structure, clients.values()))]
    return [str(each) for each in named if each]


def _config(text: str) -> dict[str, Any]:
    try:
        return stack_yaml.load(text)
    except ValueError as error:
        raise ConfigError(str(error)) from None


def _plain(values: Values) -> dict[str, Any]:
    """Return the values of the project's keys; raise ConfigError if one cannot be decrypted."""
    found = {key.removeprefix(_PREFIX): each for key, each in values.items() if key.startswith(_PREFIX)}
    for key, each in found.items():
        if each.get("value") == _NOT_DECRYPTED:
            raise ConfigError(f"{PROJECT}:{key}: the stack's secrets provider cannot decrypt what was deployed")
    return {key: each.get("objectValue", each.get("value")) for key, each in found.items()}


def _settings(config: Mapping[str, Any], text: str = "") -> tuple[Settings, dict[str, str]]:
    """Return the settings and the keys of the Kyma gateway; raise ConfigError if they are invalid.

    text: of the stack's file, if the config comes from it
    """
    texts = {key: _text(value) for key, value in config.items()}
    gateway = {key: texts.pop(key) for key in tuple(texts) if key.startswith("gateway")}
    if gateway.get("gatewayMode", "none") != "none":
        texts["gatewayMode"] = "selfSigned"  # the keys that the mode requires may be encrypted
    return read_config({f"{_PREFIX}{key}": value for key, value in texts.items()}, stack_file=text), gateway


def _is_encrypted(_: str, value: object) -> bool:
    return isinstance(value, dict) and set(value) == {"secure"}


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _secrets(path: str, value: Any, is_secret: _IsSecret) -> Iterator[tuple[str, Any]]:
    """Yield the path and the value of each secret within a value."""
    if is_secret(path, value):
        yield path, value
    elif isinstance(value, dict | list):
        for inner, _, each in _parts(path, value):
            yield from _secrets(inner, each, is_secret)


def _without_secrets(path: str, value: Any, is_secret: _IsSecret) -> Any:
    if not isinstance(value, dict | list):
        return value
    kept = {
        key: _without_secrets(inner, each, is_secret)
        for inner, key, each in _parts(path, value)
        if not is_secret(inner, each)
    }
    return kept if isinstance(value, dict) else [*kept.values()]


def _parts(path: str, value: dict[str, Any] | list[Any]) -> Iterator[tuple[str, Any, Any]]:
    """Yield the path, the key and the value of each part of a structure."""
    if isinstance(value, dict):
        yield from ((f"{path}.{key}" if path else str(key), key, each) for key, each in value.items())
    else:
        yield from ((f"{path}[{index}]", index, each) for index, each in enumerate(value))


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
