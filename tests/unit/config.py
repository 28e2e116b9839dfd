"""Config as the engine gives it to the program."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from settings import PROJECT, ConfigError, Settings, read_config

PRODUCTION = Path(__file__).parents[2] / "examples/stacks/Pulumi.prod.yaml"
SMALLEST: dict[str, Any] = {
    "target": {"kubeconfig": "target.yaml"},
    "clients": {"caller": {"kubeconfig": "client.yaml"}},
    "hosts": {"httpbin": {"domain": "httpbin.example.com"}},
}


def engine_config(values: dict[str, Any]) -> dict[str, str]:
    """Texts as they are, structures as JSON; None leaves a key out."""
    given = {key: value for key, value in values.items() if value is not None}
    return {f"kyma-mtls:{key}": value if isinstance(value, str) else json.dumps(value) for key, value in given.items()}


def production() -> dict[str, Any]:
    """Return the config of the example of a production stack."""
    config = yaml.safe_load(PRODUCTION.read_text())["config"]
    return {key.removeprefix(f"{PROJECT}:"): value for key, value in config.items()}


def read(is_encrypted: Callable[[str], bool] = lambda _: True, **values: Any) -> Settings:
    """Return the settings of the smallest config, with these keys set or, by None, left out."""
    return read_config(engine_config(SMALLEST | values), is_encrypted)


def refusal(is_encrypted: Callable[[str], bool] = lambda _: True, **values: Any) -> list[str]:
    """Return the lines of the error that refuses such a config."""
    with pytest.raises(ConfigError) as caught:
        read(is_encrypted, **values)
    return str(caught.value).splitlines()


def check_refusal(path: str, message: str, **values: Any) -> None:
    """Assert that such a config is refused with one line, which names the path and holds the message."""
    lines = refusal(**values)
    assert len(lines) == 1, f"one mistake is one line: {lines}"
    assert lines[0].startswith(f"kyma-mtls:{path}: "), lines[0]
    assert message in lines[0], lines[0]
