"""Pulumi's command line tool and plugins: the official ones where they can be had, else those that the lab built."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path

from rich.console import Console

from lab.builder import BUILDING
from lab.part import pinned_versions
from lab.paths import cache_dir, parts_dir, pulumi_home

CLI_PARTS = {"pulumi", "pulumi-language-python", "pulumi-language-yaml"}  # named like their programs
PLUGIN_PARTS = {"kubernetes": "pulumi-kubernetes", "tls": "pulumi-terraform", "random": "pulumi-terraform"}


def official_cli() -> dict[str, Path]:
    """Return Pulumi's own programs by name if PATH has them in the pinned version, else nothing."""
    found = shutil.which("pulumi")
    if not found or cache_dir() in Path(found).resolve().parents:
        return {}
    folder = Path(found).resolve().parent
    version = subprocess.run([found, "version"], capture_output=True, text=True, check=False).stdout.strip()
    if version != f"v{pinned_versions()['pulumi']}" or not (folder / "pulumi-language-python").exists():
        return {}
    return {path.name: path for path in folder.glob("pulumi*")}


def fetch_plugins(pulumi: Path, console: Console) -> None:
    """Download the missing plugins; stop at the first that cannot be downloaded."""
    for name in PLUGIN_PARTS:
        if not plugin(name).exists():
            console.print(f"fetching the Pulumi plugin {name}")
            environment = _environment(pulumi_home())
            done = subprocess.run(_install_command(pulumi, name), env=environment, capture_output=True, check=False)
            if done.returncode:
                return


def unneeded_parts(cli: Collection[str]) -> set[str]:
    """Return the parts that official programs replace; `cli` has the names of the programs on PATH."""
    ours = {part for name, part in PLUGIN_PARTS.items() if not _is_official(plugin(name))}
    return set(PLUGIN_PARTS.values()) - ours | CLI_PARTS.intersection(cli)


def install_plugins(programs: Mapping[str, Path]) -> None:
    """Install the plugins that the lab built: elsewhere first, then moved, so that none is ever incomplete."""
    for name in PLUGIN_PARTS:
        program, installed = programs.get(f"pulumi-resource-{name}"), plugin(name)
        if not program or _is_official(installed) or (installed.is_symlink() and installed.readlink() == program):
            continue
        with tempfile.TemporaryDirectory(prefix=BUILDING, dir=parts_dir()) as home:
            command = [*_install_command(programs["pulumi"], name), "--file", str(program)]
            subprocess.run(command, env=_environment(Path(home)), capture_output=True, check=True)
            made = plugin(name, Path(home))
            made.unlink()
            made.symlink_to(program)
            shutil.rmtree(installed.parent, ignore_errors=True)
            installed.parent.parent.mkdir(parents=True, exist_ok=True)
            made.parent.rename(installed.parent)


def plugin(name: str, home: Path | None = None) -> Path:
    """Return where Pulumi looks for the plugin."""
    version = pinned_versions()[f"pulumi-{name}"]
    return (home or pulumi_home()) / "plugins" / f"resource-{name}-v{version}" / f"pulumi-resource-{name}"


def _is_official(program: Path) -> bool:
    """Return whether a plugin was downloaded; one of the lab's is a symlink into a part."""
    return program.is_file() and not program.is_symlink()


def _install_command(pulumi: Path, name: str) -> list[str]:
    return [str(pulumi), "plugin", "install", "resource", name, pinned_versions()[f"pulumi-{name}"]]


def _environment(home: Path) -> dict[str, str]:
    return os.environ | {"PULUMI_HOME": str(home), "PULUMI_SKIP_UPDATE_CHECK": "true"}
