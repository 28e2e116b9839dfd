"""Verdicts on the objects of hosts, by what the replicas of a gateway have."""

from typing import Any

import pulumi
import pytest

from components.istio_gateway import DOCUMENTED_INGRESS
from components.readiness import READY, Verdict, failing, waiting
from proxies.confirmation import Confirmation
from proxies.dump import Dump
from proxies.forward import Forbidden, Unreadable
from proxies.replicas import Replicas
from proxies.sidecars import Sidecars
from settings import ConfigError
from tests.unit.fakes import fake_cluster
from tests.unit.proxies.recorded import REJECTION, one, recorded

DEPLOYMENTS = "/apis/apps/v1/namespaces/istio-system/deployments"
GATEWAYS = "/apis/networking.istio.io/v1/gateways"
LATE: dict[str, Any] = {
    "metadata": {"name": "late", "namespace": "claims"},
    "spec": {
        "selector": {"istio": "ingressgateway"},
        "servers": [{"port": {"number": 8443}, "hosts": ["forms.target.test"]}],
    },
}


@pytest.fixture
def warnings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    said: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", said.append)
    return said


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that judges recorded objects, of replicas with these dumps or with this trouble."""

    def judge(
        objects: list[Any], *dumps: Any, trouble: Exception | None = None, times: int = 1, deployments: Any = ()
    ) -> Verdict:
        def read(_: Replicas) -> dict[str, Dump]:
            if trouble:
                raise trouble
            return {f"ingress-{number}": Dump.parse(dump) for number, dump in enumerate(dumps, 1)}

        monkeypatch.setattr(Replicas, "dumps", read)
        monkeypatch.setattr(Sidecars, "lack", lambda *_: "")
        cluster = fake_cluster({GATEWAYS: {"items": [LATE]}, DEPLOYMENTS: {"items": deployments}})
        confirmation = Confirmation(cluster, DOCUMENTED_INGRESS, "rbac/target.yaml")
        verdicts = [confirmation.judge(cluster, {"items": objects}) for _ in range(times)]
        assert len(set(verdicts)) == 1
        return verdicts[0]

    return judge


def changed() -> dict[str, Any]:
    """Return the recording, in which a host admits nobody any more."""
    found = recorded("ingress")
    del one(found, "AuthorizationPolicy", "admission-many-forms-14be7b53")["spec"]["rules"][0]["from"]
    return found


def rejecting(dump: dict[str, Any], port: int = 8443) -> dict[str, Any]:
    """Return a dump whose listener of this port has rejected its last change."""
    listener = {**dump["listeners"]["configs"][0], "error_state": {"details": REJECTION}}
    listener["active_state"]["listener"]["address"]["socket_address"]["port_value"] = port
    return {**dump, "listeners": {"configs": [listener]}}


def test_objects_are_confirmed_once_every_replica_has_them(ask: Any) -> None:
    found = recorded("ingress")
    none: dict[str, Any] = {part: {} for part in found["dump"]}
    assert ask(found["objects"], found["dump"]) == ask(found["objects"], found["dump"], found["dump"]) == READY
    verdict = ask(found["objects"], found["dump"], none)
    assert verdict.says.startswith("Pod ingress-2 of gateway istio-system/istio-ingressgateway has no filter chain")
    assert (verdict.patience, verdict.warns_after) == (120, 30), "istiod may be down, or cut off from this replica"


def test_gateway_without_a_ready_replica_is_waited_for(ask: Any) -> None:
    assert ask(recorded("ingress")["objects"]) == waiting(
        "no Pod of gateway istio-system/istio-ingressgateway is ready"
    )


@pytest.mark.parametrize("replicas", [0, 2])
def test_gateway_that_is_scaled_to_zero_is_a_warning_and_not_waited_for(
    ask: Any, warnings: list[str], replicas: int
) -> None:
    template = {"metadata": {"labels": dict(DOCUMENTED_INGRESS.labels)}, "spec": {}}
    deployment = {"metadata": {"name": "x"}, "spec": {"replicas": replicas, "template": template}}
    verdict = ask(recorded("ingress")["objects"], times=2, deployments=[deployment])
    assert verdict.ready == (replicas == 0)
    assert warnings == (
        []
        if replicas
        else [
            "kyma-mtls:target.kubeconfig: cluster https://target runs no Pod of gateway "
            "istio-system/istio-ingressgateway, whose Deployment has 0 replicas: no request passes it until it has"
        ]
    )


def test_revocation_that_envoy_rejects_is_a_complaint_in_its_words_with_the_cause(ask: Any) -> None:
    found = changed()
    assert ask(found["objects"], rejecting(found["dump"])) == failing(
        f"Envoy in Pod ingress-1 rejects listener 0.0.0.0_8443: {REJECTION}; the likely cause: Gateway claims/late "
        "serves forms.target.test on port 8443, on the same listener; remove that",
        12,
    )


def test_rejection_is_no_complaint_where_the_objects_are_in_effect_or_at_another_port(ask: Any) -> None:
    found = recorded("ingress")
    assert ask(found["objects"], rejecting(found["dump"])) == READY
    found = changed()
    assert ask(found["objects"], rejecting(found["dump"], 15021)).patience == 120, "it is no rejection"


def test_rejection_without_a_claim_is_a_complaint_without_a_cause(ask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    found = changed()
    monkeypatch.setitem(LATE["spec"], "selector", {"istio": "other"})
    assert ask(found["objects"], rejecting(found["dump"])).says.endswith(REJECTION)


def test_objects_of_which_the_gateway_serves_none_are_not_asked_for(ask: Any) -> None:
    routes = [each for each in recorded("egress")["objects"] if each["kind"] in {"ServiceEntry", "VirtualService"}]
    assert ask(routes, trouble=Unreadable("nobody is asked")) == READY


def test_user_who_may_not_ask_is_warned_once_and_not_stopped(ask: Any, warnings: list[str]) -> None:
    trouble = Forbidden("Pod ingress-1: the API server refuses to forward port 15000: 403")
    assert ask(recorded("ingress")["objects"], trouble=trouble, times=3) == READY
    assert warnings == [
        "kyma-mtls:target.kubeconfig: cluster https://target does not let this user ask gateway "
        "istio-system/istio-ingressgateway for the config (Pod ingress-1: the API server refuses to forward port "
        "15000: 403), so that `pulumi up` cannot confirm that the changes are in effect; grant list of pods, and "
        "get and create of pods/portforward, in istio-system, as rbac/target.yaml does"
    ]


@pytest.fixture
def unread(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that judges two hosts in turn, 25 seconds after one another, as the gateway answers."""

    def judge(*troubles: str) -> list[Verdict]:
        found, left, now = recorded("ingress"), list(troubles), [0.0]

        def dumps(_: Replicas) -> dict[str, Dump]:
            if trouble := left.pop(0):
                raise Unreadable(trouble)
            return {"ingress-1": Dump.parse(found["dump"])}

        monkeypatch.setattr(Replicas, "dumps", dumps)
        monkeypatch.setattr(Sidecars, "lack", lambda *_: "")
        monkeypatch.setattr("proxies.confirmation.time.monotonic", lambda: now[0])
        cluster = fake_cluster()
        confirmation = Confirmation(cluster, DOCUMENTED_INGRESS, "rbac/target.yaml")
        verdicts = []
        for _ in troubles:
            verdicts.append(confirmation.judge(cluster, {"items": found["objects"]}))
            now[0] += 25
        return verdicts

    return judge


def test_replica_that_does_not_answer_is_one_warning_and_no_failure(unread: Any, warnings: list[str]) -> None:
    first, *_, fourth, fifth = unread(*(f"port {number}: connection refused" for number in range(5)))
    assert first == waiting("gateway istio-system/istio-ingressgateway could not be asked: port 0: connection refused")
    assert fourth == fifth == READY, "words that differ each time, and the hosts that come later, do not wait anew"
    assert warnings == [
        "kyma-mtls:target.kubeconfig: cluster https://target gives no answer about gateway "
        "istio-system/istio-ingressgateway (port 3: connection refused), so that `pulumi up` cannot confirm that the "
        "changes are in effect; `python -m verification` tries them"
    ]


def test_replica_that_answers_again_is_waited_for_again(unread: Any, warnings: list[str]) -> None:
    verdicts = unread("refused", "refused", "", "refused", "refused")
    assert [each.ready for each in verdicts] == [False, False, True, False, False]
    assert warnings == []


@pytest.fixture
def sidecars(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that judges objects which the gateway has, second by second, as its sidecars answer."""

    def judge(*answers: str | Exception, objects: Any = None) -> list[Verdict]:
        found, left = recorded("ingress"), list(answers)
        now = [0.0]

        def lack(*_: object) -> str:
            answer = left.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

        monkeypatch.setattr(Replicas, "dumps", lambda _: {"ingress-1": Dump.parse(found["dump"])})
        monkeypatch.setattr(Sidecars, "lack", lack)
        monkeypatch.setattr("proxies.confirmation.time.monotonic", lambda: now[0])
        cluster = fake_cluster()
        confirmation = Confirmation(cluster, DOCUMENTED_INGRESS, "rbac/target.yaml")
        verdicts = []
        for _ in answers:
            verdicts.append(confirmation.judge(cluster, {"items": found["objects"] if objects is None else objects}))
            now[0] += 15
        return verdicts

    return judge


def test_sidecars_that_lack_something_are_waited_for(sidecars: Any) -> None:
    assert sidecars("Pod a/b has no route", "") == [waiting("Pod a/b has no route"), READY]
    assert sidecars(Unreadable("Pod b: timed out"), "") == [
        waiting("the sidecars of callers and workloads could not be asked: Pod b: timed out"),
        READY,
    ]


def test_sidecar_that_stays_behind_is_a_warning_and_no_failure(sidecars: Any) -> None:
    *_, last = sidecars(*3 * ["Pod a/b has no route"])
    assert (last.ready, last.warns, last.patience) == (True, True, 0)
    assert last.says == "Pod a/b has no route, after 20 s; the gateways have it"


@pytest.mark.parametrize("kind", [Unreadable, ConfigError])
def test_sidecars_that_do_not_answer_are_one_warning_and_no_failure(
    sidecars: Any, warnings: list[str], kind: type[Exception]
) -> None:
    verdicts = sidecars(*(kind(f"{number}: timed out") for number in range(4)))
    assert [each.ready for each in verdicts] == [False, False, True, True]
    assert warnings == [
        "kyma-mtls:target.kubeconfig: cluster https://target gives no answer about the sidecars of callers and "
        "workloads (2: timed out), so that `pulumi up` cannot confirm that the changes are in effect; `python -m "
        "verification` tries them"
    ]


def test_user_who_may_not_ask_sidecars_is_warned_once_and_not_stopped(sidecars: Any, warnings: list[str]) -> None:
    assert sidecars(Forbidden("Pod curl: 403"), AssertionError("nobody is asked again")) == [READY, READY]
    assert warnings == [
        "kyma-mtls:target.kubeconfig: cluster https://target does not let this user ask the sidecars of callers and "
        "workloads for the config (Pod curl: 403), so that `pulumi up` cannot confirm that the changes are in effect; "
        "grant list of pods, and get and create of pods/portforward, in their namespaces, as rbac/target.yaml does"
    ]
