"""Private keys belong in Secrets: not in ConfigMaps, and not in a stack's outputs, whether these are secret or not.

The engine hands secrets to policies in plain text. No message holds any of a value.
"""

from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence

from mtls_policies.policy import STACK, Config, Resource, ResourcePolicy, StackPolicy

_CONFIG_MAPS = ("core/ConfigMap", "core/ConfigMapPatch")


def _encoded(mark: bytes) -> Iterator[str]:
    """Yield what Base64 makes of a mark, wherever it stands: without the characters that it shares with neighbours."""
    for before in range(3):
        text = b64encode(bytes(before) + mark).decode().rstrip("=")
        yield text[(0, 2, 3)[before] : len(text) - (1 if (before + len(mark)) % 3 else 0)]


# Of every PEM private key, encrypted ones included; without whitespace, since Base64 is often broken into lines.
_MARKS = ("PRIVATEKEY-----", *_encoded(b"PRIVATE KEY-----"))


def _keys(value: object, path: str) -> Iterator[str]:
    """Yield the path of every text that holds a PEM private key, as it is or in Base64."""
    if isinstance(value, str):
        whole = "".join(value.split())
        if any(mark in whole for mark in _MARKS):
            yield path
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from _keys(each, f"{path}.{key}" if path else str(key))
    elif isinstance(value, Sequence):
        for index, each in enumerate(value):
            yield from _keys(each, f"{path}[{index}]")


def _judge_config_map(resource: Resource, _: Config) -> Iterator[str]:
    if resource.kind in _CONFIG_MAPS:
        for part in ("data", "binaryData"):
            for path in _keys(resource.properties.get(part), part):
                yield f"{path}: holds a private key; a Secret is its place"


def _judge_outputs(resources: Sequence[Resource], _: Config) -> Iterator[tuple[str, str]]:
    for stack in (each for each in resources if each.type == STACK):
        for path in _keys(stack.properties, ""):
            yield stack.urn, f"output {path}: holds a private key; give the name of its Secret instead"


CONFIG_MAPS = ResourcePolicy("no-key-in-config-maps", "No ConfigMap holds a private key.", _judge_config_map)
OUTPUTS = StackPolicy("no-key-in-outputs", "No output of the stack holds a private key.", _judge_outputs)
