"""Routes in a namespace that is not the stack's."""

from types import SimpleNamespace

import pytest
from kubernetes.client import CoreV1Api

from tests.unit.deployed import (
    demo_stack,
)
from tests.unit.verification.answered import DENIED, NO_ROUTE, REFUSED, SERVED, printed
from tests.unit.verification.promises import CAPTURED, PUBLISHED
from tests.unit.verification.trying import FakeAttacker, attacked
from verification.answers import Answer
from verification.attacks import foreign_routes
from verification.pods import Executed
from verification.tls import Endpoint


def of_door(domain: Answer) -> FakeAttacker:
    """Return an attacker whose own host answers 418, and any other host as given."""
    own = Answer(foreign_routes.TEAPOT, {}, "")
    return FakeAttacker(
        lambda *_: REFUSED,
        lambda *arguments: printed(own if any(".kyma-mtls.invalid" in each for each in arguments) else domain),
    )


@pytest.mark.usefixtures("services")
@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (DENIED, "403"),
        (Answer(301, {"location": "https://httpbin.example.com"}, ""), "301"),
        (SERVED, "FAILED: Host httpbin.example.com, without a client certificate: got 200"),
    ],
)
def test_gateway_in_unrelated_namespace_publishes_nothing(answer: Answer, expected: str) -> None:
    attacker = of_door(answer)
    assert attacked(demo_stack(), PUBLISHED, attacker).startswith(expected)
    gateway = attacker.deployments[0][0]["spec"]
    assert gateway["selector"] == {"app": "gateway"}, "that of the gateway's Service"
    assert gateway["servers"][0]["port"]["number"] == 80, "a second server at 443 would end the listener"
    assert {each["spec"]["exportTo"][0] for each in attacker.deployments[0][1:]} == {"*"}, "a mesh may export nothing"


@pytest.mark.usefixtures("services")
def test_one_gateway_of_several_that_publishes_is_found() -> None:
    answers = [NO_ROUTE] * 5 + [SERVED] + [NO_ROUTE] * 3
    control = Answer(foreign_routes.TEAPOT, {}, "")

    def curl(*arguments: str) -> Executed:
        is_control = any(".kyma-mtls.invalid" in each for each in arguments)
        return printed(control if is_control else answers.pop(0))

    assert attacked(demo_stack(), PUBLISHED, FakeAttacker(curl, curl)).endswith(
        f"without a client certificate: got {SERVED.summary}"
    )
    assert answers == []


@pytest.mark.parametrize("promise", [PUBLISHED, CAPTURED])
def test_foreign_routes_are_not_tried_without_port_80(monkeypatch: pytest.MonkeyPatch, promise: str) -> None:
    spec = SimpleNamespace(selector={}, ports=[SimpleNamespace(port=443)])
    monkeypatch.setattr(CoreV1Api, "read_namespaced_service", lambda *_, **__: SimpleNamespace(spec=spec))
    seen = attacked(demo_stack(), promise, of_door(SERVED))
    assert seen.startswith("SKIPPED: the ingress gateway's Service istio-system/istio-ingressgateway has no port 80")


@pytest.mark.usefixtures("services")
def test_foreign_route_that_is_not_live_leaves_the_check_unjudged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foreign_routes, "_LIVE_SECONDS", 0.1)
    attacker = FakeAttacker(lambda *_: REFUSED, lambda *_: REFUSED)
    seen = attacked(demo_stack(), PUBLISHED, attacker)
    assert seen.startswith(
        "UNJUDGED: the attacker's control host is not served, so the answer would prove nothing: port 80"
    )


@pytest.mark.usefixtures("services")
@pytest.mark.parametrize(
    ("answer", "expected"),
    [(SERVED, "200, Subject"), (Answer(418, {}, ""), "FAILED: got 418: the attacker's VirtualService")],
)
def test_virtual_service_in_unrelated_namespace_answers_nothing(
    monkeypatch: pytest.MonkeyPatch, answer: Answer, expected: str
) -> None:
    answers = [SERVED, SERVED, answer]
    monkeypatch.setattr(Endpoint, "request", lambda *_, **__: answers.pop(0))
    attacker = of_door(DENIED)
    assert attacked(demo_stack(), CAPTURED, attacker).startswith(expected)
    rules = attacker.deployments[0][1]["spec"]["http"]
    assert "match" in rules[0], "only requests with the attacker's own header meet its answer"
    assert "match" not in rules[1], "all other requests are still served"
