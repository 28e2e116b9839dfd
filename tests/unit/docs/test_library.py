"""The arguments that the Python code of the page on the library names."""

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import components

PAGE = Path(__file__).parents[3] / "docs/library.md"


def arguments(name: str) -> set[str]:
    """Return the arguments of a promised class or function, or the fields of a promised value; none if unknown."""
    found = getattr(components, name) if name in components.__all__ else None
    if found is None or name == "GatewayError":
        return set()
    return {*inspect.signature(found if callable(found) else type(found)).parameters}


ALL_ARGUMENTS = {argument for name in components.__all__ if name.endswith("Args") for argument in arguments(name)}


def unknown_arguments(text: str) -> Iterator[str]:
    """Yield each argument, in Python blocks and inline code with `=`, that its component does not have."""
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)
    for code in (*blocks, *re.findall(r"`([A-Za-z_][^`\n]*=[^`\n]*)`", text)):
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.Assign):
                yield from ({ast.unparse(each) for each in node.targets} - ALL_ARGUMENTS)
            elif isinstance(node, ast.Call):
                copied = ast.unparse(node.func) == "replace"
                known = arguments(ast.unparse(node.args[0] if copied else node.func))
                yield from (str(keyword.arg) for keyword in node.keywords if keyword.arg not in known)


def test_page_names_existing_arguments() -> None:
    assert list(unknown_arguments(PAGE.read_text())) == []


@pytest.mark.parametrize(
    "text",
    [
        "```python\nways_out = []\n```\n",
        "```python\ncallers = [Pods(namespace='shop', names={})]\n```\n",
        "Set `passthrough=True`.",
        "Set `EgressClientArgs(makes=False)`, or `gateway=replace(DOCUMENTED_INGRESS, open=True)`.",
    ],
    ids=["argument", "call", "field", "inline"],
)
def test_unknown_argument_is_reported(text: str) -> None:
    assert list(unknown_arguments(text)) != []
