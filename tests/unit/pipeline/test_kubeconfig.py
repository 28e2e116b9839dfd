"""The kubeconfig of a job."""

from pathlib import Path

import pytest

from pipeline.__main__ import main


def test_kubeconfig_is_for_this_user_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    variables = tmp_path / "variables"
    written = tmp_path / "kubeconfig"
    written.write_text("an older one")
    written.chmod(0o644)
    content = "contexts: [{name: target}]\n"
    for name, value in {"RUNNER_TEMP": tmp_path, "GITHUB_ENV": variables, "KUBECONFIG_CONTENT": content}.items():
        monkeypatch.setenv(name, str(value))
    assert main(["kubeconfig"]) == 0
    assert variables.read_text() == f"KUBECONFIG={written}\n"
    assert written.read_text() == content
    assert written.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", ["", "not: it", "token-in-the-wrong-place", "["])
def test_invalid_kubeconfig_is_reported_and_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    for name, value in {"RUNNER_TEMP": tmp_path, "GITHUB_ENV": tmp_path / "v", "KUBECONFIG_CONTENT": content}.items():
        monkeypatch.setenv(name, str(value))
    assert main(["kubeconfig"]) == 2
    said = capsys.readouterr().err
    assert "KUBECONFIG_CONTENT is " in said
    assert "secret KUBECONFIG" in said
    assert not content or content not in said
    assert not list(tmp_path.iterdir())
