"""The ready replicas of a gateway, some of which come and go while they are asked."""

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest

from clusters import Refused
from components.istio_gateway import DOCUMENTED_INGRESS
from proxies.forward import Forbidden, Unreadable
from proxies.replicas import Replicas, Silent
from settings import ConfigError
from tests.unit.fakes import FakeCluster, fake_cluster

PODS = "/api/v1/namespaces/istio-system/pods?labelSelector=app%3Distio-ingressgateway%2Cistio%3Dingressgateway"
Ask = Callable[[str], dict[str, Any]]


def pod(name: str, *, ready: bool = True, leaving: bool = False) -> dict[str, Any]:
    metadata = {"name": name} | ({"deletionTimestamp": "2026-11-28T22:00:00Z"} if leaving else {})
    return {"metadata": metadata, "status": {"conditions": [{"type": "Ready", "status": str(ready)}]}}


def pods(*found: dict[str, Any]) -> dict[str, Any]:
    return {"items": list(found)}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let each Pod have an empty dump, except those whose names say why they do not answer."""
    names: list[str] = []

    class Interface:
        def read(self, *_: object) -> dict[str, Any]:
            return {}

    @contextmanager
    def admin(_: object, _namespace: str, name: str) -> Iterator[Interface]:
        names.append(name)
        if "silent" in name:
            raise Unreadable("connection refused")
        if "odd" in name:
            raise KeyError("typed_config")
        if "forbidden" in name:
            raise Forbidden("403")
        yield Interface()

    monkeypatch.setattr("proxies.replicas.admin", admin)
    return names


def replicas(*lists: dict[str, Any]) -> Replicas:
    return Replicas.of_gateway(fake_cluster({PODS: list(lists)}), DOCUMENTED_INGRESS)


def test_ready_replicas_are_asked(asked: list[str]) -> None:
    found = replicas(pods(pod("b"), pod("a"), pod("starting", ready=False), pod("leaving", leaving=True), {**NEW}))
    assert sorted(found.dumps()) == sorted(asked) == ["a", "b"]


NEW: dict[str, Any] = {"metadata": {"name": "new"}}


def test_gateway_without_replicas_has_no_dumps(asked: list[str]) -> None:
    assert replicas(pods()).dumps() == {}
    assert asked == []


def test_replica_that_went_while_it_was_asked_is_left_out(asked: list[str]) -> None:
    for then in (
        pods(pod("a")),
        pods(pod("a"), pod("silent", ready=False)),
        pods(pod("a"), pod("silent", leaving=True)),
    ):
        assert list(replicas(pods(pod("a"), pod("silent")), then).dumps()) == ["a"]
    assert "silent" in asked


def test_replica_that_stays_and_does_not_answer_is_unreadable_by_name(asked: list[str]) -> None:
    with pytest.raises(Silent, match=r"^Pod silent: connection refused$") as caught:
        replicas(pods(pod("a"), pod("silent"))).dumps()
    assert list(caught.value.answered) == ["a"]
    assert set(asked) == {"a", "silent"}


@pytest.mark.usefixtures("asked")
def test_replica_whose_answer_is_odd_is_unreadable_and_no_trace() -> None:
    with pytest.raises(Unreadable, match=r"^Pod odd: KeyError: 'typed_config'$"):
        replicas(pods(pod("a"), pod("odd"))).dumps()


@pytest.mark.usefixtures("asked")
def test_user_who_may_not_forward_or_list_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Forbidden, match="Pod forbidden: 403"):
        replicas(pods(pod("forbidden"))).dumps()

    def read(*_: object) -> None:
        raise Refused("cluster https://target refuses GET /api/v1/pods: 403 Forbidden")

    monkeypatch.setattr(FakeCluster, "read", read)
    with pytest.raises(Forbidden, match="refuses to list the Pods: 403"):
        replicas().dumps()


def test_cluster_that_is_away_is_no_matter_of_the_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*_: object) -> None:
        raise ConfigError("kyma-mtls:target.kubeconfig: cluster https://target does not answer: timed out")

    monkeypatch.setattr(FakeCluster, "read", read)
    with pytest.raises(ConfigError, match="does not answer"):
        replicas().dumps()


def test_questions_of_one_time_get_one_answer_that_is_not_older(monkeypatch: pytest.MonkeyPatch) -> None:
    began, go_on, reads = threading.Event(), threading.Event(), [0]

    def read(_: Replicas) -> Any:
        reads[0] += 1
        number = reads[0]
        began.set()
        go_on.wait(5)
        return {"read": number}

    monkeypatch.setattr(Replicas, "_read", read)
    shared = replicas(pods())
    with ThreadPoolExecutor() as pool:
        first = pool.submit(shared.dumps)
        began.wait(5)
        later = [pool.submit(shared.dumps) for _ in range(3)]
        while shared._lock.locked() and not all(each.running() for each in later):
            pass
        go_on.set()
        answers: list[Any] = [each.result() for each in (first, *later)]
    assert answers == [{"read": 1}, *3 * [{"read": 2}]], "the first one may lack what the later ones ask for"
    assert reads == [2], "one more is enough for all"


def test_listeners_are_read_anew_only_once_envoy_has_changed_them(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = {"states": "/states", "listeners": "/listeners", "routes": "/routes"}
    paths: list[str] = []
    times = iter(["1", "1", "2"])

    class Interface:
        def read(self, path: str, *_: object) -> dict[str, Any]:
            paths.append(path)
            return {"configs": [{"active_state": {"last_updated": next(times)}}]} if path == "/states" else {}

    monkeypatch.setattr("proxies.replicas.admin", lambda *_: nullcontext(Interface()))
    asked = Replicas(fake_cluster({PLAIN: pods(pod("a"))}), "shop", {"limit": "9"}, parts)
    for _ in range(3):
        assert list(asked.dumps()) == ["a"]
    assert paths == ["/states", "/listeners", "/routes", "/states", "/routes", "/states", "/listeners", "/routes"]


def test_replicas_with_equal_listeners_share_one_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {"a": b'{"configs": []}', "b": b'{"configs": []}', "c": b'{"configs": [{}]}'}

    class Interface:
        def __init__(self, pod: str) -> None:
            self.pod = pod

        def read(self, _: str, parse: Callable[[bytes], Any] = json.loads) -> Any:
            return parse(texts[self.pod])

    monkeypatch.setattr("proxies.replicas.admin", lambda *found: nullcontext(Interface(found[-1])))
    parts = {"states": "/states", "listeners": "/listeners"}
    asked = Replicas(fake_cluster({PLAIN: pods(*map(pod, texts))}), "shop", {"limit": "9"}, parts, list)
    monkeypatch.setattr("proxies.replicas.parallel", lambda calls: [call() for call in calls])
    asked.dumps()
    listeners = {name: found for name, (_, found) in asked._listeners.items()}
    assert listeners["a"] is listeners["b"] is not listeners["c"]
    assert listeners["c"] == {"configs": [{}]}


def test_pods_that_are_not_chosen_are_not_asked(asked: list[str]) -> None:
    few = Replicas(fake_cluster({PLAIN: pods(pod("b"), pod("a"))}), "shop", {"limit": "9"}, {}, lambda found: found[:1])
    assert list(few.dumps()) == asked == ["b"]


PLAIN = "/api/v1/namespaces/shop/pods?limit=9"
