"""Write the users' reference of the outputs from the models: `python -m outputs.reference`.

A JSON schema for programs that read them, and the table of docs/outputs.md.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from outputs.models import Outputs
from settings.reference import PROJECT_DIRECTORY, put_table
from settings.section import PROJECT

SCHEMA_FILE = PROJECT_DIRECTORY / "outputs.schema.json"
PAGE = PROJECT_DIRECTORY / "docs/outputs.md"
MARKER = "outputs"

_PLACEHOLDERS = {"hosts": ("HOST",), "clients": ("CLIENT",), "signingRequests": ("HOST", "CLIENT")}


def schema() -> dict[str, Any]:
    """Describe the outputs of any stack as a JSON schema."""
    whole = Outputs.model_json_schema(by_alias=True)
    outputs = _plain(whole, whole.pop("$defs"))
    return {"$schema": "http://json-schema.org/draft-07/schema#", "title": f"The outputs of {PROJECT}"} | outputs


def schema_text() -> str:
    """Return the schema as its file has it."""
    return json.dumps(schema(), indent=2) + "\n"


def table() -> str:
    """List every output and its fields, in Markdown."""
    head = "| output | type | secret | since | meaning |\n|---|---|---|---|---|\n"
    return head + "".join(f"| {' | '.join(row)} |\n" for row in _rows("", schema()))


def generated() -> dict[Path, str]:
    """Return the text of each file that is written from the models."""
    return {SCHEMA_FILE: schema_text(), PAGE: put_table(PAGE.read_text(), MARKER, table())}


def _plain(node: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """Rewrite pydantic's schema without references, null, defaults, and titles, which only repeat names."""
    if "$ref" in node:
        node = {**definitions[node["$ref"].rpartition("/")[2]], **node}
    if "anyOf" in node:
        node = {**definitions[node["anyOf"][0]["$ref"].rpartition("/")[2]], **node}
    kept = {key: value for key, value in node.items() if key not in {"$ref", "anyOf", "default", "title"}}
    if "properties" in kept:
        kept["properties"] = {key: _plain(value, definitions) for key, value in kept["properties"].items()}
    for inner in ("additionalProperties", "items"):
        if isinstance(kept.get(inner), dict):
            kept[inner] = _plain(kept[inner], definitions)
    return kept


def _rows(place: str, node: dict[str, Any]) -> Iterator[tuple[str, str, str, str, str]]:
    for key, field in node.get("properties", {}).items():
        path, value = f"{place}{key}", field
        for placeholder in _PLACEHOLDERS.get(key, ()) if "additionalProperties" in field else ():
            path, value = f"{path}.{placeholder}", value["additionalProperties"]
        if "additionalProperties" in value:
            path, value = f"{path}.CLIENT", value["additionalProperties"]
        yield f"`{path}`", _type(value), "no", field["since"], field["description"]
        yield from _rows(f"{path}.", value)


def _type(node: dict[str, Any]) -> str:
    if "format" in node:
        return str(node["format"]).replace("date-time", "RFC 3339")
    return {"string": "text", "boolean": "`true`, `false`", "array": "list of texts", "object": "structure"}[
        node["type"]
    ]


def main() -> None:
    """Write the schema and the table."""
    for path, text in generated().items():
        path.write_text(text)


if __name__ == "__main__":
    main()
