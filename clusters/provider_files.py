"""Kubeconfigs, credentials included, that the Kubernetes provider leaves in the folder for temporary files.

Whenever it is configured, the provider writes its kubeconfig into a new file there, for Helm, and never removes the
file (pulumi/pulumi-kubernetes). No setting prevents that. This program uses no Helm release.
"""

import contextlib
import os
import tempfile
from pathlib import Path
from typing import Any

import yaml

_MARK = "kyma-mtls"
_FILES = "kubeconfig[0-9]*"
_LARGEST = 1 << 20


def marked(context: dict[str, Any]) -> dict[str, Any]:
    """Return a kubeconfig's context with a mark, which the provider keeps: files with it are those of this program."""
    return {**context, "extensions": [{"name": _MARK, "extension": {"purpose": "provider"}}]}


def remove() -> None:
    """Remove the files that providers of this project's stacks have left."""
    # The provider, in Go, reads TMPDIR alone; Python reads TEMP and TMP, too.
    folder = tempfile.gettempdir() if os.name == "nt" else os.environ.get("TMPDIR") or "/tmp"  # noqa: S108
    for path in Path(folder).glob(_FILES):
        with contextlib.suppress(OSError):  # another user's file, or removed by another run meanwhile
            if _is_marked(path):
                path.unlink()


def _is_marked(path: Path) -> bool:
    if not path.is_file() or path.is_symlink() or path.stat().st_size > _LARGEST:
        return False
    text = path.read_text(errors="replace")
    if _MARK not in text:  # most files of other programs; to parse one takes milliseconds
        return False
    try:
        contexts = yaml.safe_load(text)["contexts"]
        return any(each["name"] == _MARK for context in contexts for each in context["context"]["extensions"])
    except (ValueError, yaml.YAMLError, TypeError, KeyError):
        return False  # another program's file, or a half-written one
