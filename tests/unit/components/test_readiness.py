"""Waits for objects: their warnings, their ends, and their continuation in the next `pulumi up`."""

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, TypeVar

import pulumi
import pulumi_kubernetes as k8s
import pytest

from components.lifecycle import Lifecycle
from components.readiness import READY, Judge, NotReady, Ready, Verdict, Wait, failing, silent, waiting
from tests.unit.conftest import Deploy
from tests.unit.fakes import FakeCluster, fake_cluster

SECRET = "/api/v1/namespaces/mtls/secrets/certs"  # noqa: S105 - a path
VERSION = {"apiVersion": "v1", "kind": "Secret", "namespace": "mtls", "name": "certs", "uid": "1", "generation": 1}
Answer = TypeVar("Answer")
THERE: dict[str, Any] = {SECRET: {"metadata": {}}}


class Clock:
    """A clock that moves on by each sleep."""

    def __init__(self) -> None:
        self.now = 0.0
        self.warnings: list[str] = []

    async def sleep(self, seconds: float) -> None:
        self.now += seconds

    def monotonic(self) -> float:
        return self.now

    def warn(self, message: str, _: object) -> None:
        self.warnings.append(f"{self.now:.0f} s: {message}")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("components.readiness._PAUSES_SECONDS", ())
    monkeypatch.setattr("components.readiness.asyncio.sleep", clock.sleep)
    monkeypatch.setattr("components.readiness.time.monotonic", clock.monotonic)
    monkeypatch.setattr(pulumi.log, "warn", clock.warn)
    return clock


def saying(verdicts: Iterable[Verdict]) -> Judge:
    """Return a judge that gives these verdicts in turn, the last for ever."""
    left = list(verdicts)
    return lambda _cluster, _found: left.pop(0) if len(left) > 1 else left[0]


async def at_once(function: Callable[..., Answer], *args: object) -> Answer:
    """Call a function on the thread of the event loop."""
    return function(*args)


def wait(judge: Judge, cluster: FakeCluster | None = None, limit: float = 600) -> None:
    asyncio.run(Wait(judge, limit).until_ready(cluster or fake_cluster(THERE), VERSION, at_once))


def test_ready_object_is_not_waited_for(clock: Clock) -> None:
    wait(saying([READY]))
    assert (clock.now, clock.warnings) == (0, [])


def test_last_step_runs_once_the_object_is_ready_and_again_if_it_fails(clock: Clock) -> None:
    steps: list[float] = []

    def finish() -> None:
        steps.append(clock.now)
        if len(steps) == 1:
            raise ConnectionError("cluster https://target does not answer")

    judge = saying([waiting("Processing"), READY])
    asyncio.run(Wait(judge, 600, finish=finish).until_ready(fake_cluster(THERE), VERSION, at_once))
    assert steps == [1, 2]
    assert clock.warnings == ["1 s: Secret mtls/certs: cluster https://target does not answer"]


def test_complaint_is_a_warning_once_and_at_once(clock: Clock) -> None:
    wait(saying([waiting("Processing"), *3 * [failing("Error: why", 60)], waiting("Processing"), READY]))
    assert clock.warnings == ["1 s: Secret mtls/certs: Error: why"]
    assert clock.now == 5


def test_complaint_that_stays_ends_the_wait_in_its_own_words(clock: Clock) -> None:
    with pytest.raises(
        NotReady, match=r"^cluster https://target: Secret mtls/certs is not ready after 61 s: Error: why$"
    ):
        wait(saying([waiting("Processing"), failing("Error: why", 60)]))
    assert clock.now == 61


def test_complaint_that_alternates_ends_the_wait(clock: Clock) -> None:
    verdicts = [failing("Error: one", 60), failing("Error: other", 60), waiting("Processing")]
    with pytest.raises(NotReady):
        wait(saying(40 * verdicts))
    assert clock.now < 65


def test_final_complaint_ends_the_wait_at_once(clock: Clock) -> None:
    with pytest.raises(NotReady, match=r"after 0 s: Revoked"):
        wait(saying([failing("Revoked", 0)]))
    assert clock.now == 0


def test_silence_ends_the_wait_at_its_limit(clock: Clock) -> None:
    with pytest.raises(NotReady, match=r"after 300 s: no state yet$"):
        wait(saying([waiting("no state yet")]), limit=300)
    assert clock.warnings == []


def test_silence_of_a_controller_that_answers_at_once_is_a_warning_and_then_the_end(clock: Clock) -> None:
    with pytest.raises(NotReady, match=r"after 120 s: does it run\?$"):
        wait(saying([silent("does it run?")]))
    assert clock.warnings == ["30 s: Secret mtls/certs: does it run?"]


def test_silence_that_ends_is_no_warning(clock: Clock) -> None:
    wait(saying([*29 * [silent("does it run?")], waiting("Processing"), READY]))
    assert clock.warnings == []


def test_readiness_that_may_be_outdated_must_stay(clock: Clock) -> None:
    unsure = Verdict(ready=True, says="Ready", patience=3)
    wait(saying([unsure]))
    assert clock.now == 3
    with pytest.raises(NotReady, match="Error: why"):
        wait(saying([unsure, failing("Error: why", 10)]))


def test_readiness_that_does_not_stand_in_one_wording_ends_the_wait_at_its_limit(clock: Clock) -> None:
    wait(saying(Verdict(ready=True, says=f"port {number}", patience=60) for number in range(30)), limit=20)
    assert clock.now == 20


def test_object_that_is_gone_ends_the_wait(clock: Clock) -> None:
    with pytest.raises(NotReady, match=r"after 60 s: it is gone$"):
        wait(saying([READY]), fake_cluster())
    assert clock.warnings == ["0 s: Secret mtls/certs: it is gone"]


def test_object_without_a_namespace_is_waited_for(clock: Clock) -> None:
    wanted = {"apiVersion": "v1", "kind": "Namespace", "name": "mtls"}
    cluster = fake_cluster({"/api/v1/namespaces/mtls": {"metadata": {}}})
    with pytest.raises(NotReady, match="Namespace mtls is not ready after 0 s: Error"):
        asyncio.run(Wait(saying([failing("Error", 0)]), 600).until_ready(cluster, wanted, at_once))
    assert clock.now == 0


def test_wait_survives_an_api_server_that_is_away(clock: Clock) -> None:
    calls = iter(range(30))

    def judge(_cluster: object, _found: object) -> Verdict:
        if next(calls) < 20:
            raise ConnectionError("cluster https://target does not answer")
        return READY

    wait(judge)
    assert clock.warnings == ["0 s: Secret mtls/certs: cluster https://target does not answer"]


def test_failures_to_answer_do_not_add_up(clock: Clock) -> None:
    def judge(_cluster: object, _found: object) -> Verdict:
        if clock.now in {10, 90}:
            raise ConnectionError("cluster https://target does not answer")
        return READY if clock.now == 100 else waiting("Processing")

    wait(judge)
    assert clock.now == 100


def test_object_that_is_back_resets_the_time_it_was_gone(clock: Clock) -> None:
    there: dict[str, Any] = {"metadata": {}}
    wait(
        lambda *_: READY if clock.now == 100 else waiting(""),
        fake_cluster({SECRET: [None, *80 * [there], None, there]}),
    )
    assert clock.warnings == ["0 s: Secret mtls/certs: it is gone", "81 s: Secret mtls/certs: it is gone"]


def test_complaints_add_up_over_failures_to_answer(clock: Clock) -> None:
    def judge(_cluster: object, _found: object) -> Verdict:
        if clock.now == 30:
            raise ConnectionError("cluster https://target does not answer")
        return failing("Error: why", 60)

    with pytest.raises(NotReady, match=r"after 60 s: Error: why$"):
        wait(judge)


def test_several_objects_are_judged_together_under_the_name_they_are_given(clock: Clock) -> None:
    judged: list[Any] = []

    def judge(_cluster: object, found: dict[str, Any]) -> Verdict:
        judged.append(found)
        return failing("Error: why", 0)

    there = {"metadata": {"name": "certs"}}
    both = {"called": "hosts.httpbin", "items": [VERSION, VERSION]}
    with pytest.raises(NotReady, match=r"^cluster https://target: hosts.httpbin is not ready after 0 s: Error: why$"):
        asyncio.run(Wait(judge, 600).until_ready(fake_cluster({SECRET: there}), both, at_once))
    assert judged == [{"kind": "List", "items": [there, there]}]
    with pytest.raises(NotReady, match=r"hosts.httpbin is not ready after 60 s: it is gone$"):
        asyncio.run(Wait(judge, 600).until_ready(fake_cluster({SECRET: [there, *100 * [None]]}), both, at_once))
    assert clock.now == 60


def test_of_several_objects_those_without_a_status_are_read_once(clock: Clock) -> None:
    rule, versions = "/apis/networking.istio.io/v1/namespaces/mtls/gateways/a", []

    def judge(_cluster: object, found: dict[str, Any]) -> Verdict:
        versions.append([each["metadata"]["resourceVersion"] for each in found["items"]])
        return READY if len(versions) == 3 else waiting("soon")

    def there(number: int, **status: Any) -> dict[str, Any]:
        return {"metadata": {"name": "a", "resourceVersion": number}, **status}

    cluster = fake_cluster(
        {SECRET: [there(1), there(9)], rule: [None, *(there(number, status={}) for number in range(3))]}
    )
    gateway = {"apiVersion": "networking.istio.io/v1", "kind": "Gateway", "namespace": "mtls", "name": "a"}
    both = {"called": "hosts.httpbin", "items": [VERSION, gateway]}
    asyncio.run(Wait(judge, 600).until_ready(cluster, both, at_once))
    assert versions == [[1, 0], [1, 1], [1, 2]]
    assert cluster.asked.count(SECRET) == 1
    assert clock.warnings == ["0 s: hosts.httpbin: it is gone"]


class Waiting(pulumi.ComponentResource):
    """Makes a Secret, waits for it, and makes a second one then.

    made: gets the URN of the first
    """

    def __init__(self, opts: pulumi.ResourceOptions, made: Callable[[str], None] = lambda _: None) -> None:
        super().__init__("test:index:Waiting", "waiting", None, opts)
        below = pulumi.ResourceOptions(parent=self)
        first = k8s.core.v1.Secret("first", metadata={"name": "certs", "namespace": "mtls"}, opts=below)
        first.urn.apply(made)
        ready = Ready("first", first, saying([failing("Error: why", 0)]), below)
        k8s.core.v1.Secret("second", metadata={"name": "later", "namespace": ready.id}, opts=below)


def test_ready_is_kept_in_the_state_and_waits_in_the_objects_cluster(deploy: Deploy) -> None:
    made = {"Secret": {"metadata": {"name": "certs", "namespace": "mtls", "uid": "1", "generation": 3}}}
    stack = deploy(
        lambda: Waiting(Lifecycle("clients.a", "0a1b", fake_cluster(THERE)).options("namespace")), outputs=made
    )
    assert stack.one("Stash", "first-ready")["input"] == {**VERSION, "generation": 3}, "it changes with the object"
    assert stack.comes_after("Secret second", "Stash first-ready")
    hooks = stack.request("Stash", "first-ready").hooks
    assert list(hooks.before_create) == list(hooks.before_update) == ["clients.a-first-ready"]
    hook = stack.hooks["clients.a-first-ready"]
    assert not (hook.opts and hook.opts.on_dry_run), "a preview does not wait"
    args = pulumi.ResourceHookArgs("urn", "", "first-ready", "Stash", new_inputs={"input": VERSION})
    with pytest.raises(NotReady, match="Error: why"):
        asyncio.run(hook(args))  # type: ignore[arg-type]


def test_ready_is_unknown_in_a_preview_that_does_not_know_the_object(
    deploy: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulumi.runtime, "is_dry_run", lambda: True)

    def kept(identified: str = "mtls/certs", **known: str) -> Any:
        made = {"Secret": {"id": identified, "metadata": {"name": "certs", "namespace": "mtls", **known}}}
        stack = deploy(
            lambda: Waiting(Lifecycle("clients.a", "0a1b", fake_cluster(THERE)).options("namespace")), outputs=made
        )
        return stack.one("Stash", "first-ready")

    assert kept(uid="1")["input"]["uid"] == "1"
    assert "input" not in kept(), "an update by the plan of this preview would be refused"
    assert "input" not in kept("", uid="2"), "the object that is made will have another uid"


def test_ready_is_unknown_in_a_preview_that_changes_the_object(deploy: Deploy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulumi.runtime, "is_dry_run", lambda: True)
    made = {"Secret": {"metadata": {"name": "certs", "namespace": "mtls", "uid": "1", "generation": 4}}}

    def program(ending: str) -> None:
        rule = Lifecycle("clients.a", "0a1b", fake_cluster(THERE))

        def change(urn: str) -> None:
            rule._observed().callback(pulumi.ResourceHookArgs(urn + ending, "", "first", "Secret"))

        Waiting(rule.options("namespace"), change)

    changing, other = (deploy(partial(program, ending), outputs=made) for ending in ("", "-other"))
    assert "input" not in changing.one("Stash", "first-ready"), "the generation is that of a dry run"
    assert other.one("Stash", "first-ready")["input"]["generation"] == 4


class Credential(pulumi.ComponentResource):
    """Makes a Secret with a certificate and a key, and waits for it."""

    def __init__(self, opts: pulumi.ResourceOptions, certificate: str, key: str) -> None:
        super().__init__("test:index:Credential", "credential", None, opts)
        below = pulumi.ResourceOptions(parent=self)
        data = {"tls.crt": pulumi.Output.secret(certificate), "tls.key": pulumi.Output.secret(key)}
        made = k8s.core.v1.Secret("first", metadata={"name": "certs", "namespace": "mtls"}, data=data, opts=below)
        Ready("first", [made], saying([READY]), below, called="hosts.a")


def test_secret_that_is_renewed_in_place_is_waited_for_again(deploy: Deploy) -> None:
    def waited(certificate: str, key: str = "key") -> Any:
        rule = Lifecycle("clients.a", "0a1b", fake_cluster(THERE))
        stack = deploy(lambda: Credential(rule.options("namespace"), certificate, key))
        return stack.one("Stash", "first-ready")["input"]

    assert waited("old") == waited("old") == waited("old", "other"), "the state shows nothing of a private key"
    assert waited("old") != waited("new")
    assert len(waited("old")["items"][0]["content"]) == 16


def test_pauses_are_short_at_first(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("components.readiness._PAUSES_SECONDS", (0.25, 0.5))
    for looks, seconds in ((1, 0), (2, 0.25), (3, 0.75), (4, 1.75), (5, 2.75)):
        clock.now = 0.0
        wait(saying([*(looks - 1) * [waiting("soon")], READY]))
        assert clock.now == seconds
