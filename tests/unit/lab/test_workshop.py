"""The environment of a part's build."""

import pytest

from lab import workshop


def test_go_settings_of_user_do_not_change_build(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GOFLAGS", "GOCACHE", "GOARCH", "CGO_ENABLED", "GOPROXY"):
        monkeypatch.setenv(name, "mine")
    environment = workshop.go_environment()
    assert "mine" not in {environment.get(name) for name in ("GOFLAGS", "GOCACHE", "GOARCH", "CGO_ENABLED")}
    assert environment["GOPROXY"] == "mine", "how modules are reached is the user's choice"
