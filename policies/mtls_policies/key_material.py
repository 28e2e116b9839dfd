"""Private keys, which belong in Secrets: neither in ConfigMaps nor in stack outputs, secret or not.

The engine passes secrets to policies in clear. No message shows any part of a value.
"""

from collections.abc import Iterator, Mapping, Sequence

from .policy import STACK, Config, Resource, ResourcePolicy, StackPolicy
from .private_keys import holds_key


def _keys(value: object, path: str) -> Iterator[str]:
    """Yield the path of every text that holds a private key."""
    if isinstance(value, str):
        if holds_key(value):
            yield path
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from _keys(each, f"{path}.{key}" if path else str(key))
    elif isinstance(value, Sequence):
        for index, each in enumerate(value):
            yield from _keys(each, f"{path}[{index}]")


def _judge_config_map(resource: Resource, _: Config) -> Iterator[str]:
    if resource.kind == "core/ConfigMap":
        texts = {name: resource.properties.get(name) for name in ("data", "binaryData")}
        for path in _keys(texts, ""):
            yield f"{path}: holds a private key; move it to a Secret"


def _judge_outputs(resources: Sequence[Resource], _: Config) -> Iterator[tuple[str, str]]:
    for stack in (each for each in resources if each.type == STACK):
        for path in _keys(stack.properties, ""):
            yield stack.urn, f"output {path}: holds a private key; give the name of its Secret instead"


CONFIG_MAPS = ResourcePolicy("no-key-in-config-maps", "No ConfigMap holds a private key.", _judge_config_map)
OUTPUTS = StackPolicy("no-key-in-outputs", "No stack output holds a private key, secret or not.", _judge_outputs)
