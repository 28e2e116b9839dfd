"""The contract of the outputs, held against those of a stack."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import jsonschema

from outputs import reference

_FORMATS = jsonschema.FormatChecker()
_FORMATS.checks("date-time", ValueError)(lambda text: bool(datetime.fromisoformat(text)))


def check_outputs(outputs: Mapping[str, Any]) -> None:
    """Raise jsonschema.ValidationError unless outputs keep the contract, and have nothing that it does not name.

    None may be secret, which `pulumi stack output` shows as `[secret]`.
    """
    assert "[secret]" not in json.dumps(outputs)
    jsonschema.Draft7Validator(_closed(reference.schema()), format_checker=_FORMATS).validate(outputs)


def _closed(node: dict[str, Any]) -> dict[str, Any]:
    closed = {key: _closed(value) if isinstance(value, dict) else value for key, value in node.items()}
    return {"additionalProperties": False, **closed} if node.get("properties") else closed
