"""Kubeconfigs that the Kubernetes provider leaves behind."""

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from clusters import provider_files

PARTS = {"cluster": "a", "user": "b"}


def kubeconfig(context: dict[str, Any]) -> str:
    return yaml.safe_dump({"kind": "Config", "contexts": [{"name": "one", "context": context}]})


def test_files_with_the_mark_are_removed_and_no_other_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    ours = kubeconfig(provider_files.marked(PARTS))
    others = {
        "kubeconfig2": kubeconfig(PARTS),
        "kubeconfig3": "",
        "kubeconfig4": "[",
        "kubeconfig5": "- 1",
        "kubeconfig.yaml": ours,
    }
    for name, text in {"kubeconfig1": ours, **others}.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "kubeconfig6").mkdir()
    os.mkfifo(tmp_path / "kubeconfig7")  # whoever reads it waits for ever
    (tmp_path / "kubeconfig8").symlink_to("kubeconfig.yaml")
    provider_files.remove()
    assert {path.name for path in tmp_path.iterdir()} == {*others, "kubeconfig6", "kubeconfig7", "kubeconfig8"}


def test_mark_keeps_the_context() -> None:
    assert provider_files.marked(PARTS) == PARTS | {
        "extensions": [{"name": "kyma-mtls", "extension": {"purpose": "provider"}}]
    }
