"""The page's file: whole or not at all, and refused before anything is tried."""

from pathlib import Path

import pytest

from settings import ConfigError
from verification.evidence import file


def test_file_is_replaced_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "evidence.html"
    path.write_text("of the run before")
    seen: list[str] = []
    replace = Path.replace

    def watched(self: Path, target: Path) -> Path:
        seen.append(path.read_text())
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", watched)
    file.write(path, "<p>ü</p>")
    assert seen == ["of the run before"]
    assert path.read_text(encoding="utf-8") == "<p>ü</p>"
    assert list(tmp_path.iterdir()) == [path]


def test_file_that_cannot_be_replaced_stays_and_leaves_no_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "evidence.html"
    path.write_text("of the run before")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(ConfigError, match=r"^--html: .*evidence\.html: No space left on device; name a file"):
        file.write(path, "new")
    assert path.read_text() == "of the run before"
    assert list(tmp_path.iterdir()) == [path]


def test_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "evidence.html"
    link.symlink_to(tmp_path / "real/page.html")
    file.check_writable(link)
    file.write(link, "new")
    assert link.is_symlink()
    assert (tmp_path / "real/page.html").read_text() == "new"


def test_check_leaves_a_file_as_it_is_and_makes_none(tmp_path: Path) -> None:
    path = tmp_path / "evidence.html"
    file.check_writable(path)
    assert not list(tmp_path.iterdir())
    path.write_text("of the run before")
    file.check_writable(path)
    assert path.read_text() == "of the run before"


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "is no file"),
        ("missing/evidence.html", "No such file or directory"),
        ("taken/evidence.html", "Not a directory"),
        ("a" * 300, "File name too long"),
        ("/dev/null", "is no file"),
    ],
)
def test_check_refuses_what_cannot_be_written(tmp_path: Path, name: str, problem: str) -> None:
    (tmp_path / "taken").touch()
    with pytest.raises(ConfigError, match=f"^--html: .*: {problem}; name"):
        file.check_writable(tmp_path / name)
