"""Kubeconfigs for tests."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml


def write_kubeconfig(
    file: Path,
    server: str,
    *,
    contexts: Sequence[str] = ("only",),
    current: str | None = None,
    cluster: Mapping[str, Any] | None = None,
    user: Mapping[str, Any] | None = None,
) -> str:
    """Write a kubeconfig with these contexts of one cluster and user, the first one current; return its path."""
    name = contexts[0]
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name if current is None else current,
        "contexts": [{"name": context, "context": {"cluster": name, "user": name}} for context in contexts],
        "clusters": [{"name": name, "cluster": {"server": server, **(cluster or {})}}],
        "users": [{"name": name, "user": dict(user or {})}],
    }
    file.write_text(yaml.safe_dump(content))
    return str(file)
