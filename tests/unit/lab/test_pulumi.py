"""When the lab uses Pulumi's official programs."""

import shutil
from pathlib import Path

import pytest

from lab import pulumi
from lab.part import pinned_versions, tables


@pytest.mark.parametrize(("version", "used"), [("pinned", True), ("v3.0.0", False)])
def test_official_cli_is_used_in_pinned_version_only(
    version: str, used: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    printed = f"v{pinned_versions()['pulumi']}" if version == "pinned" else version
    for name in ("pulumi", "pulumi-language-python"):
        (tmp_path / name).write_text(f"#!/bin/sh\necho {printed}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert bool(pulumi.official_cli()) is used


def test_cli_built_by_lab_is_not_official(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KYMA_MTLS_CACHE", str(tmp_path))
    monkeypatch.setattr(shutil, "which", lambda _: str(tmp_path / "parts" / "pulumi-0" / "pulumi"))
    assert pulumi.official_cli() == {}


def test_part_is_unneeded_once_all_its_plugins_are_official(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KYMA_MTLS_CACHE", str(tmp_path))
    for name in ("tls", "kubernetes"):
        pulumi.plugin(name).parent.mkdir(parents=True)
        pulumi.plugin(name).touch()
    assert pulumi.unneeded_parts(()) == {"pulumi-kubernetes"}, "random is still missing"


def test_part_is_unneeded_if_official_cli_has_its_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KYMA_MTLS_CACHE", str(tmp_path))
    cli = {"pulumi", "pulumi-language-python", "pulumi-language-go"}
    assert pulumi.unneeded_parts(cli) == {"pulumi", "pulumi-language-python"}
    assert "pulumi-language-yaml" in pulumi.unneeded_parts({*cli, "pulumi-language-yaml"})
    assert set(tables()) >= pulumi.CLI_PARTS
