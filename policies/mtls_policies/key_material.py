"""Private keys, which belong in Secrets: neither in ConfigMaps nor in stack outputs, secret or not.

The engine passes secrets to policies in clear. No message shows any part of a value.
"""

from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mtls_policies.policy import STACK, Config, Resource, ResourcePolicy, StackPolicy, structure


def _encoded(mark: bytes) -> Iterator[str]:
    """Yield the Base64 of a mark at each offset, without the characters that also encode its neighbours."""
    for before in range(3):
        text = b64encode(bytes(before) + mark).decode().rstrip("=")
        yield text[(0, 2, 3)[before] : len(text) - (1 if (before + len(mark)) % 3 else 0)]


# Of every PEM private key, encrypted ones included. Whitespace is removed: Base64 often has line breaks.
_MARKS = ("PRIVATEKEY-----", *_encoded(b"PRIVATE KEY-----"))


def _keys(value: object, path: str) -> Iterator[str]:
    """Yield the path of every text that holds a PEM private key, plain or in Base64."""
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


def _with_content(encoded: Any) -> Any:
    """Return Base64 together with its content, which may hold Base64, too."""
    try:
        return f"{encoded}|{b64decode(encoded).decode('latin-1')}"
    except (TypeError, ValueError):  # not known yet, or invalid: the API server refuses it
        return encoded


def _judge_config_map(resource: Resource, _: Config) -> Iterator[str]:
    if resource.kind == "core/ConfigMap":
        binary = structure(resource.properties.get("binaryData"))
        texts = {
            "data": resource.properties.get("data"),
            "binaryData": {key: _with_content(encoded) for key, encoded in binary.items()},
        }
        for path in _keys(texts, ""):
            yield f"{path}: holds a private key; move it to a Secret"


def _judge_outputs(resources: Sequence[Resource], _: Config) -> Iterator[tuple[str, str]]:
    for stack in (each for each in resources if each.type == STACK):
        for path in _keys(stack.properties, ""):
            yield stack.urn, f"output {path}: holds a private key; give the name of its Secret instead"


CONFIG_MAPS = ResourcePolicy("no-key-in-config-maps", "No ConfigMap holds a PEM private key.", _judge_config_map)
OUTPUTS = StackPolicy("no-key-in-outputs", "No stack output holds a PEM private key, secret or not.", _judge_outputs)
