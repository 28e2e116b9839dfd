"""The kubeconfigs that the Kubernetes provider leaves in the folder for temporary files, credentials included.

Each time it is configured, it writes its kubeconfig into a new file there, for Helm, and never removes that. No setting
prevents it. The stack's providers have no use for the file: nothing of it is a Helm release.
"""

import contextlib
import tempfile
from pathlib import Path
from typing import Any

import yaml

_MARK = "kyma-mtls"
_FILES = "kubeconfig[0-9]*"


def marked(context: dict[str, Any]) -> dict[str, Any]:
    """Return a kubeconfig's context with a mark that the provider keeps, by which its files are told from others'."""
    return {**context, "extensions": [{"name": _MARK, "extension": {"purpose": "provider"}}]}


def remove() -> None:
    """Remove the files that providers of this project's stacks have left."""
    for path in Path(tempfile.gettempdir()).glob(_FILES):
        with contextlib.suppress(OSError):  # another user's, or just removed by another run
            if _is_marked(path):
                path.unlink()


def _is_marked(path: Path) -> bool:
    try:
        contexts = yaml.safe_load(path.read_text())["contexts"]
        return any(each["name"] == _MARK for context in contexts for each in context["context"]["extensions"])
    except (ValueError, yaml.YAMLError, TypeError, KeyError):
        return False  # another program's, or half written
