"""The script that installs the Pulumi CLI beside credentials, with archives from a `curl` of this test."""

import hashlib
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / ".ci/pulumi"
CLI, PLUGIN = "pulumi-v3.1.2-linux-x64.tar.gz", "pulumi-resource-kubernetes-v4.5.6-linux-amd64.tar.gz"
CURL = """#!/bin/sh
# The last two arguments are the file and the URL.
while [ $# -gt 2 ]; do shift; done
echo "$2" >> "{folder}/urls"
exec cp "{folder}/archives/$(basename "$2")" "$1"
"""
PULUMI = """#!/bin/sh
echo "$@" >> "{folder}/calls"
"""


@pytest.fixture
def served(tmp_path: Path) -> Path:
    """Return a folder with both archives, a `curl` that serves them, and the script beside their hashes."""
    archives, programs, cli = (tmp_path / name for name in ("archives", "programs", "cli"))
    for folder in (archives, programs, cli):
        folder.mkdir()
    for path, text in ((programs / "curl", CURL), (cli / "pulumi", PULUMI)):
        path.write_text(text.format(folder=tmp_path))
        path.chmod(0o755)
    with tarfile.open(archives / CLI, "w:gz") as archive:
        archive.add(cli, "pulumi")
    (archives / PLUGIN).write_bytes(b"a plugin")
    shutil.copy(SCRIPT, tmp_path)
    hashes = (f"{hashlib.sha256((archives / name).read_bytes()).hexdigest()}  {name}\n" for name in (CLI, PLUGIN))
    (tmp_path / "pulumi.sha256").write_text("".join(hashes))
    return tmp_path


def install(served: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PATH": f"{served / 'programs'}:{os.environ['PATH']}"}
    command = [str(served / SCRIPT.name), "installed"]
    return subprocess.run(command, cwd=served, env=environment, capture_output=True, text=True, check=False)


def test_cli_and_plugins_with_the_right_hashes_are_installed(served: Path) -> None:
    done = install(served)
    assert done.returncode == 0, done.stderr
    assert (served / "installed/pulumi").is_file()
    assert (served / "calls").read_text() == f"plugin install resource kubernetes 4.5.6 --file {PLUGIN}\n"
    assert [Path(url).name for url in (served / "urls").read_text().splitlines()] == [CLI, PLUGIN]


@pytest.mark.parametrize("name", [CLI, PLUGIN])
def test_archive_with_a_different_hash_installs_nothing(served: Path, name: str) -> None:
    with (served / "archives" / name).open("ab") as archive:
        archive.write(b"more")
    done = install(served)
    assert done.returncode != 0
    assert f"{name}: FAILED" in done.stdout
    assert not list((served / "installed").iterdir())
    assert not (served / "calls").exists()


def test_archive_that_cannot_be_loaded_installs_nothing(served: Path) -> None:
    (served / "archives" / PLUGIN).unlink()
    assert install(served).returncode != 0
    assert not list((served / "installed").iterdir())
