"""The commit, the versions and the time of a verification."""

import os
import subprocess
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from verification.evidence import origin


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a project of one commit."""
    git(tmp_path, "init", "--quiet")
    (tmp_path / "Pulumi.yaml").write_text("name: kyma-mtls\n")
    git(tmp_path, "add", "Pulumi.yaml")
    git(tmp_path, "-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "--quiet", "--message", "first")
    return tmp_path


def git(directory: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=directory, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_commit_is_that_of_the_work_tree_with_dirty_for_changes(project: Path) -> None:
    head = git(project, "rev-parse", "HEAD")
    assert origin.commit_of(project) == head
    (project / "evidence.html").touch()
    assert origin.commit_of(project) == head, "a report of the run before is no change"
    (project / "Pulumi.yaml").write_text("name: changed\n")
    assert origin.commit_of(project) == f"{head}-dirty"


def test_commit_of_a_different_project_around_it_is_not_taken(project: Path) -> None:
    inner = project / "copy"
    inner.mkdir()
    (inner / "Pulumi.yaml").touch()
    assert origin.commit_of(inner) is None


def test_commit_is_not_known_without_a_work_tree_or_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert origin.commit_of(tmp_path) is None
    monkeypatch.setenv("PATH", "")
    assert origin.commit_of(tmp_path) is None


def test_commit_of_the_ci_has_the_name_of_its_variable() -> None:
    assert origin.ci_commit({"GITHUB_SHA": "0a1b", "HOME": "/"}) == {"variable": "GITHUB_SHA", "value": "0a1b"}
    assert origin.ci_commit({"CI_COMMIT_SHA": "2c3d"}) == {"variable": "CI_COMMIT_SHA", "value": "2c3d"}
    assert origin.ci_commit({"GITHUB_SHA": ""}) is None


def test_begin_is_in_utc_and_seconds_do_not_depend_on_the_clock_of_the_wall(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "environ", {**os.environ, "GITHUB_SHA": "0a1b"})
    noon = datetime(2026, 11, 29, 12, 0, 0, 5, timezone(timedelta(hours=2)))
    monkeypatch.setattr("time.monotonic", lambda: 124.16)
    described = origin.Start(noon, 100).described()
    assert (described["began"], described["seconds"]) == ("2026-11-29T10:00:00Z", 24.2)
    assert described["commit"] == {"tree": None, "ci": {"variable": "GITHUB_SHA", "value": "0a1b"}}
    assert {"outputs", "python", "tls", "pulumi"} <= set(described["versions"])
    assert origin.Start().moment.tzinfo is UTC
