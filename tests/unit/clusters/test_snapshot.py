"""A cluster that checks read once."""

import threading
from typing import Any

import pytest

from clusters import parallel
from clusters.cluster import Cluster
from clusters.snapshot import Snapshot
from settings import ConfigError
from tests.unit.fakes import fake_cluster


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Let clusters answer each path by its text, but refuse /secrets; return what they are asked."""
    seen: list[tuple[str, str]] = []

    def request(_: Cluster, __: str, path: str, headers: dict[str, str]) -> Any:
        seen.append((path, headers["Accept"]))
        if path == "/secrets":
            raise ConfigError("403 Forbidden")
        return {"items": [{"path": path}]}

    monkeypatch.setattr(Cluster, "_request", request)
    return seen


def test_snapshot_reads_each_path_once_in_each_format(asked: list[tuple[str, str]]) -> None:
    snapshot = Snapshot.of(fake_cluster())
    assert snapshot.read("/a") is snapshot.read("/a")
    assert snapshot.items("/a") == [{"path": "/a"}]
    snapshot.read("/a", "application/xml")
    assert asked == [("/a", "application/json"), ("/a", "application/xml")]
    Snapshot.of(fake_cluster()).read("/a")
    assert len(asked) == 3, "another snapshot reads anew"


def test_snapshot_refuses_all_who_ask_alike(asked: list[tuple[str, str]]) -> None:
    snapshot = Snapshot.of(fake_cluster())
    for _ in range(2):
        with pytest.raises(ConfigError, match="403 Forbidden"):
            snapshot.read("/secrets")
    assert len(asked) == 1


def test_snapshot_lets_those_who_ask_at_one_time_share_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    asks, answers = threading.Semaphore(0), list[int]()

    def request(*_: object) -> Any:
        asks.acquire(timeout=60)
        answers.append(len(answers))
        return {"number": len(answers)}

    monkeypatch.setattr(Cluster, "_request", request)
    snapshot = Snapshot.of(fake_cluster())
    waiting: list[Any] = [lambda: snapshot.read("/a"), lambda: snapshot.read("/a"), asks.release]
    assert parallel(waiting)[:2] == [{"number": 1}, {"number": 1}]
