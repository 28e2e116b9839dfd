"""Write the users' reference of the config keys from the models: `python -m settings.reference`.

A JSON schema for editors of Pulumi.STACK.yaml, and the table of docs/config.md.
"""

import json
import re
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from settings.section import PROJECT, is_by_name, is_list, within
from settings.section import keys as keys_of
from settings.stack import Settings

PROJECT_DIRECTORY = Path(__file__).parents[1]
SCHEMA_FILE = PROJECT_DIRECTORY / "Pulumi.stack.schema.json"
PAGE = PROJECT_DIRECTORY / "docs/config.md"

MARKER = "config"

_SECURE = {
    "description": "A value that `pulumi config set --secret` encrypted",
    "type": "object",
    "properties": {"secure": {"type": "string"}},
    "required": ["secure"],
    "additionalProperties": False,
}
_ENGINE_KEYS = {
    "secretsprovider": "Secrets provider of the stack",
    "encryptionsalt": "Derives the key of the passphrase's secrets provider",
    "encryptedkey": "Holds the data key of a cloud's secrets provider, encrypted",
}


def schema() -> dict[str, Any]:
    """Describe a whole Pulumi.STACK.yaml as a JSON schema."""
    whole = Settings.model_json_schema()
    properties = _for_yaml(whole, whole["$defs"])["properties"]
    properties |= properties.pop("gateway")["properties"]
    config = {
        "type": "object",
        "properties": {f"{PROJECT}:{key}": value for key, value in properties.items()},
        "patternProperties": {f"^(?!{PROJECT}:)": True},
        "additionalProperties": False,
    }
    engine_keys = {key: {"type": "string", "description": text} for key, text in _ENGINE_KEYS.items()}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": f"A stack of {PROJECT}",
        "type": "object",
        "properties": {"config": config, **engine_keys},
    }


def table() -> str:
    """List every key, in Markdown."""
    head = "| key | type | default | meaning |\n|---|---|---|---|\n"
    return head + "".join(f"| {' | '.join(row)} |\n" for row in _rows("", Settings.keys()))


def keys() -> list[str]:
    """List every key, with NAME and CLIENT in the place of names."""
    return [row[0].strip("`") for row in _rows("", Settings.keys())]


def generated() -> dict[Path, str]:
    """Return the text of each file that is written from the models."""
    return {SCHEMA_FILE: schema_text(), PAGE: put_table(PAGE.read_text(), MARKER, table())}


def put_table(text: str, marker: str, content: str) -> str:
    """Put a table into a page's text, between the lines that mark its begin and end."""
    between = re.compile(rf"(?<=<!-- {marker}: begin -->\n).*?(?=<!-- {marker}: end -->)", re.DOTALL)
    return between.sub(lambda _: content, text)


def schema_text() -> str:
    """Return the schema as its file has it."""
    return json.dumps(schema(), indent=2) + "\n"


def _for_yaml(node: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """Rewrite pydantic's schema of a value for the YAML that users write: without references and null."""
    if "$ref" in node:
        return _for_yaml(definitions[node["$ref"].rpartition("/")[2]] | _without(node, "$ref"), definitions)
    if {"type": "null"} in node.get("anyOf", ()):
        return _for_yaml(node["anyOf"][0] | _without(node, "anyOf", "default"), definitions)
    node = _as_text_too(_without(node, "title"))
    if "patternProperties" in node:
        ((pattern, value),) = node["patternProperties"].items()
        names = node["propertyNames"] | {"pattern": pattern}
        node = _without(node, "patternProperties") | {"propertyNames": names, "additionalProperties": value}
    if isinstance(node.get("additionalProperties"), dict):
        node["additionalProperties"] = _for_yaml(node["additionalProperties"], definitions)
    if "properties" in node:
        node["properties"] = {key: _for_yaml(value, definitions) for key, value in node["properties"].items()}
    return node


def _as_text_too(node: dict[str, Any]) -> dict[str, Any]:
    """Accept the values that `pulumi config set` writes: numbers and booleans as texts, secrets encrypted."""
    if node.get("writeOnly"):
        return {"description": node["description"], "anyOf": [{"type": "string"}, _SECURE]}
    if node.get("type") == "integer":
        return node | {"type": ["integer", "string"], "pattern": "^[0-9]+$"}
    if node.get("type") == "boolean":
        return _without(node, "type") | {"enum": [True, False, "true", "false"]}
    return node


def _without(node: dict[str, Any], *left_out: str) -> dict[str, Any]:
    return {key: value for key, value in node.items() if key not in left_out}


def _rows(place: str, fields: dict[str, FieldInfo]) -> Iterator[tuple[str, str, str, str]]:
    for key, field in fields.items():
        meaning = str(field.description).replace("|", "\\|")
        yield f"`{place}{key}`", _kind(field.annotation), _default(field), meaning
        section = within(field.annotation)
        if section:
            name = f".{_placeholder(key)}" if is_by_name(field.annotation) else ""
            yield from _rows(f"{place}{key}{name}.", dict(keys_of(section)))


def _placeholder(key: str) -> str:
    return "CLIENT" if key == "credentials" else "NAME"


def _kind(annotation: object) -> str:
    if annotation is SecretStr:
        return "secret text"
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return ", ".join(f"`{member.value}`" for member in annotation)
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(annotation))
    if within(annotation):
        return "structures by name" if is_by_name(annotation) else "structure"
    if is_list(annotation):
        return "list of texts"
    return {bool: "`true`, `false`", int: "integer", str: "text"}[annotation]  # type: ignore[index]


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "required"
    default = field.default.get_secret_value() if isinstance(field.default, SecretStr) else field.default
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, tuple):
        default = f"[{', '.join(default)}]" if default else ""
    return f"`{default}`" if default else ""


def main() -> None:
    """Write the schema and the table."""
    for path, text in generated().items():
        path.write_text(text)


if __name__ == "__main__":
    main()
