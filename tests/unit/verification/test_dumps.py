"""How the proxies of a run are asked: once for all checks of one time, and with a reason where they cannot be."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from kubernetes.client import ApiClient, Configuration

from clusters.cluster import Cluster
from proxies.dump import Dump
from proxies.forward import Forbidden, Unreadable
from proxies.replicas import Replicas, Silent
from settings import ClusterAccess, ConfigError
from verification.checks import Failed, Skipped
from verification.dumps import Answers, Dumps, Question

CLUSTER = Cluster(
    ClusterAccess(path="target", kubeconfig="", context=""), ApiClient(Configuration(host="https://a.test"))
)
QUESTION = Question("target", "shop", {"labelSelector": "app=a"}, {})
EMPTY = Dump.parse({})


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return the list of what the Pods answer, one time after the other."""
    waiting: list[Any] = []

    def read(_: Replicas) -> Any:
        answer = waiting.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(Replicas, "dumps", read)
    return waiting


def test_an_answer_stands_for_all_checks_of_a_time(answers: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    answers += [{"a": EMPTY}, {"b": EMPTY}]
    asked = Dumps()
    assert list(asked.ask(CLUSTER, QUESTION).dumps) == list(asked.ask(CLUSTER, QUESTION).dumps) == ["a"]
    now[0] += 6
    assert list(asked.ask(CLUSTER, QUESTION).dumps) == ["b"]


def test_a_missing_right_skips_and_names_the_manifest(answers: list[Any]) -> None:
    answers.append(Forbidden("the API server refuses to forward port 15000: 403"))
    with pytest.raises(Skipped, match=r"pods/portforward, in namespace shop, as rbac/verification.yaml does"):
        Dumps().ask(CLUSTER, QUESTION)


def test_trouble_of_the_moment_is_no_verdict(answers: list[Any]) -> None:
    answers += [Unreadable("Pod a: reset\nby peer")]
    with pytest.raises(ConfigError, match="does not answer: Pod a: reset by peer"):
        Dumps().ask(CLUSTER, QUESTION).judge(says(""), "nobody")


def test_a_break_outweighs_a_pod_that_does_not_answer(answers: list[Any]) -> None:
    answers += 2 * [Silent("Pod a: reset by peer", {"b": EMPTY})]
    with pytest.raises(Failed, match=r"^admits x \(Pod shop/b\)$"):
        Dumps().ask(CLUSTER, QUESTION).judge(says("admits x"), "nobody")
    with pytest.raises(ConfigError, match="does not answer: Pod a: reset by peer"):
        Dumps().ask(CLUSTER, QUESTION).judge(says(""), "nobody")


def test_no_pod_is_skipped_only_with_a_reason(answers: list[Any]) -> None:
    answers += [{}, {}]
    assert Dumps().ask(CLUSTER, QUESTION).dumps == {}
    with pytest.raises(Skipped, match="no Pod of a"):
        Dumps().ask(CLUSTER, Question("target", "shop", {}, {}, none="no Pod of a"))


def says(problem: str) -> Callable[[Dump], Iterator[str]]:
    return lambda _: iter([problem] if problem else [])


def test_a_verdict_says_how_many_pods_were_asked() -> None:
    found = Answers({"a": EMPTY, "b": EMPTY}, 3, "shop")
    assert found.judge(says(""), "nobody") == "nobody: asked 2 of 3 Pods"
    with pytest.raises(Failed, match=r"^admits x \(Pod shop/a and 1 more\)$"):
        found.judge(says("admits x"), "nobody")


def test_many_problems_are_counted() -> None:
    found = Answers({"a": EMPTY}, 1, "shop")
    with pytest.raises(Failed, match=r"; and 2 more$"):
        found.judge(lambda _: iter("12345"), "nobody")


def test_a_question_is_told_from_another() -> None:
    same = Question("target", "shop", {"labelSelector": "app=a"}, {})
    assert QUESTION.key == same.key
    assert QUESTION.key != Question("clients.a", "shop", {"labelSelector": "app=a"}, {}).key
    assert json.dumps(QUESTION.query) == json.dumps(same.query)
