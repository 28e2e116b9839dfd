"""The verification notices each promise that is broken, and leaves nothing behind, however it ends."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from components.comparison import differences
from tests.e2e.support.lab import Lab
from tests.e2e.support.loosened import LOOSENED
from tests.e2e.support.mutations import ADDITIONS, Target, tried
from tests.e2e.support.project import Project
from tests.e2e.support.scenes import (
    ADMISSION,
    DENIED_BY_DEFAULT,
    HOSTS,
    ISTIO,
    LASTING,
    NAMESPACE,
    SCENES,
    Change,
    replace,
)
from tests.e2e.support.stack import Deployed, refusal
from tests.e2e.support.waiting import eventually, meanwhile, together
from tests.unit.pki import issue
from verification.__main__ import chosen_checks, every_check
from verification.checks import Check
from verification.evidence.page import page
from verification.manifests import LABEL, RUN
from verification.runner import AT_ONCE, Verdict, judge
from verification.stack import DeployedStack

WITH_PODS = ("undeclared", "cannot connect", "bypass")
"""Words of promises that are tried from Pods, in namespaces of each cluster."""

REFUSALS = ("field is immutable", "does not match template")
"""The API server's words about fields of which it takes no other value."""


@dataclass(frozen=True)
class Attacked:
    """The deployed stack, and all that is tried on it."""

    deployed: Deployed
    connected: DeployedStack
    checks: list[Check]

    def find(self, described: str) -> Check:
        """Return the check of `HOST: PROMISE`, `CLIENT: PROMISE`, or whose promise begins so."""
        about, _, promise = described.rpartition(": ")
        found = [check for check in self.checks if check.promise.startswith(promise) and _is_about(check, about)]
        assert found, f"there is no check {described}"
        return found[0]


def _is_about(check: Check, about: str) -> bool:
    return not about or check.group.startswith((f"host {about} ", f"client {about}"))


@pytest.fixture(scope="module")
def attacked(project: Project) -> Iterator[Attacked]:
    with project.deployment(NAMESPACE, namespace=NAMESPACE, hosts=HOSTS) as deployed:
        deployed.up()
        with pytest.MonkeyPatch.context() as monkeypatch:
            monkeypatch.chdir(project.directory)
            for key, value in project.environment.items():
                monkeypatch.setenv(key, value)
            connected, checks = chosen_checks(DeployedStack.load(NAMESPACE), [], [])
            for attacker in connected.attackers.values():
                attacker.mark = "tests"  # `left` does not count what it makes
            yield Attacked(deployed, connected, checks)
            for attacker in connected.attackers.values():
                assert attacker.remove() == []


def await_failures(attacked: Attacked, broken: Mapping[str, str]) -> None:
    """Wait until each of these promises fails with its words, all side by side."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda each: await_failure(attacked.find(each[0]), each[1]), broken.items()))


def await_failure(check: Check, words: str) -> None:
    """Try a check until it fails with these words; Envoy takes its time, and so do attackers' Pods."""
    end, seen = time.monotonic() + 240, ""
    while time.monotonic() < end:
        outcome = judge(check, 0, lambda _: None, threading.Event())
        seen = f"{outcome.verdict}: {outcome.saw}"
        if outcome.verdict == Verdict.FAILED and words in outcome.saw:
            return
        time.sleep(0.5)
    pytest.fail(f"{check.group}: {check.promise}: not failed: {words!r}, but {seen}")


def await_unjudged(check: Check, words: str) -> None:
    """Try a check until it cannot be judged, with these words; it must never fail."""

    def outcome() -> bool:
        seen = judge(check, 0, lambda _: None, threading.Event())
        assert seen.verdict in (Verdict.PASSED, Verdict.ERROR), seen
        return seen.verdict == Verdict.ERROR and words in seen.saw

    eventually(outcome, f"{check.promise} cannot be judged: {words}")


def left(lab: Lab, attacked: Attacked, run: str = "", kinds: str = "namespaces,pods") -> str:
    """Return the names of what bears the label of this stack's attackers, in any cluster.

    run: the id of the run whose objects are meant; those of all runs by default
    """
    labels = f"{LABEL}={attacked.connected.state.owner}" + (f",{RUN}={run}" if run else "")
    return "".join(
        lab.kubectl(cluster, "get", kinds, "-A", "-l", labels, "-o", "name") for cluster in ("target", "client")
    )


def start(project: Project, attacked: Attacked, *arguments: str, folder: Path | None = None) -> subprocess.Popen[str]:
    """Start a verification that a signal will end; SIGHUP, too, even if these tests ignore it.

    folder: for temporary files, instead of the one that the test has
    """
    verification = (sys.executable, "-m", "verification", "--stack", attacked.deployed.stack.name, *arguments)
    return subprocess.Popen(
        ["env", "--default-signal=HUP", *verification],
        cwd=project.directory,
        env=os.environ | project.environment | ({"TMPDIR": str(folder)} if folder else {}),
        stdout=subprocess.PIPE,
        text=True,
    )


def run_of(folder: Path) -> str:
    """Return the id of the one run that has a lock in this folder of temporary files; empty before it has begun."""
    return next((path.name for path in folder.glob("kyma-mtls-verification-*/*")), "")


def stop_when(process: subprocess.Popen[str], seen: Callable[[], bool], what: str) -> None:
    """Stop a process with SIGSTOP at a moment when something is seen."""

    def is_stopped() -> bool:
        assert process.poll() is None, f"it ended before {what}"
        if not seen():
            return False
        process.send_signal(signal.SIGSTOP)
        if seen():
            return True
        process.send_signal(signal.SIGCONT)
        return False

    eventually(is_stopped, what, pause=0.1)


@pytest.mark.parametrize("scene", SCENES)
def test_verification_notices_each_broken_promise(lab: Lab, attacked: Attacked, scene: str) -> None:
    with SCENES[scene].played(lab):
        await_failures(attacked, SCENES[scene].broken)


def test_comparison_names_each_field_of_each_object_that_another_manager_changes(attacked: Attacked) -> None:
    stack, key = attacked.connected, issue("intruder").key_pem
    targets = [
        Target(cluster, applied)
        for cluster in stack.reached.values()
        for applied in stack.state.manifests_in(cluster.uid)
    ]
    assert {target.applied["kind"] for target in targets} >= set(ADDITIONS)

    def missed_in(target: Target) -> list[str]:
        """Return the changes of an object that nobody notices, and those that the API server cannot judge."""
        live, wrong = target.live(), []
        assert not differences(target.applied, live)
        for mutation in target.mutations(key):
            answer = tried(target, live, mutation)
            if answer.live is None and not (mutation.is_addition or any(word in answer.refusal for word in REFUSALS)):
                wrong.append(f"{target.identity} {mutation}: {answer.refusal}")
            elif answer.live is not None and not target.is_named(mutation, answer):
                wrong.append(f"{target.identity} {mutation}: not noticed")
        return wrong

    assert [each for missed in together(missed_in, targets) for each in missed] == []


def test_preview_and_up_name_a_changed_field_until_refresh_sets_it_again(lab: Lab, attacked: Attacked) -> None:
    server = lab.server("target")
    deny = Change("target", ISTIO, ADMISSION, (replace("/spec/action", "AUDIT"),))
    deny.make(lab)
    kind, _, name = ADMISSION.partition("/")
    line = f'cluster {server}: AuthorizationPolicy {ISTIO}/{name}: spec.action: "AUDIT" instead of "DENY", set by'
    assert line in refusal(attacked.deployed.stack.preview)
    said = refusal(attacked.deployed.stack.up)
    assert line in said
    assert "`pulumi up --refresh`" in said
    attacked.deployed.up(refresh=True)
    assert lab.get("target", kind, ISTIO, name)["spec"]["action"] == "DENY"


def test_mesh_that_denies_by_default_is_no_broken_promise(lab: Lab, attacked: Attacked) -> None:
    with DENIED_BY_DEFAULT.played(lab):
        await_unjudged(attacked.find("first: client client is admitted"), f"{ISTIO}/deny-by-default, which is not")


@pytest.mark.usefixtures("attacked")
def test_control_plane_that_is_away_is_no_broken_promise(lab: Lab) -> None:
    """The webhook that injects sidecars does not answer: the API server refuses the attacker's Pods."""
    istiod = ("-n", ISTIO, "deployment/istiod")
    connected, checks = chosen_checks(DeployedStack.load(NAMESPACE), [], ["client"], ["undeclared caller"])
    lab.kubectl("client", "scale", *istiod, "--replicas=0")
    try:
        eventually(
            lambda: "istiod" not in lab.kubectl("client", "-n", ISTIO, "get", "pods", "-o", "name"), "it is away"
        )
        await_unjudged(checks[0], "the API server answered 500: Internal error occurred: failed calling webhook")
    finally:
        lab.kubectl("client", "scale", *istiod, "--replicas=1")
        lab.kubectl("client", "rollout", "status", *istiod)
        assert not [command for attacker in connected.attackers.values() for command in attacker.remove()]


def test_read_only_run_notices_by_the_proxies_what_says_a_little_more(lab: Lab, attacked: Attacked) -> None:
    connected = dataclasses.replace(attacked.connected, read_only=True)
    read_only = dataclasses.replace(attacked, connected=connected, checks=list(every_check(connected)))
    with LOOSENED.played(lab):
        await_failures(read_only, LOOSENED.broken)


def test_verification_passes_after_healing_beside_a_parallel_run_and_writes_reports(
    lab: Lab, project: Project, attacked: Attacked, tmp_path: Path
) -> None:
    files = ("--junit", str(tmp_path / "junit.xml"), "--html", str(tmp_path / "evidence.html"))
    reports = (("--json", *files), ("--only", *WITH_PODS, "unrelated namespace"))
    done, other = together(lambda options: project.verify(attacked.deployed.stack, *options), reports)
    report = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert other.returncode == 0, other.stdout
    assert report["totals"]["failed"] == 0
    promises = [(check["group"], check["promise"]) for check in report["checks"]]
    assert promises == [(check.group, check.promise) for check in attacked.checks]
    passed = {(check["group"], check["promise"]) for check in report["checks"] if check["verdict"] == "passed"}
    broken = [attacked.find(each) for scene in (*SCENES.values(), LOOSENED) for each in scene.broken]
    assert {(check.group, check.promise) for check in broken} <= passed, "none of them is skipped"
    assert all(check["expected"] and check["seen"] for check in report["checks"] if check["verdict"] != "skipped")
    cases = ET.parse(tmp_path / "junit.xml").iter("testcase")  # noqa: S314 - its own
    assert [(case.get("classname"), case.get("name")) for case in cases] == promises
    assert (tmp_path / "evidence.html").read_text() == page(report)
    assert report["commit"]["tree"] is None, "the project is a copy outside of its repository"
    assert "PRIVATE KEY" not in done.stdout + done.stderr
    assert not left(lab, attacked)


@dataclass(frozen=True)
class Kept:
    """A run that is killed while its routes exist, and one in another container that is stopped: it lives."""

    killed: str
    living: str
    living_process: subprocess.Popen[str]


@pytest.fixture
def kept(
    lab: Lab, project: Project, attacked: Attacked, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Kept]:
    """Leave what two runs made, the routes but for a moment; both have the host name of the runs that follow."""
    here, container = tmp_path / "here", tmp_path / "container"
    here.mkdir()
    container.mkdir()
    monkeypatch.setenv("TMPDIR", str(here))
    killed = start(project, attacked, "--only", *WITH_PODS[:2], "unrelated namespace")
    living = start(project, attacked, "--only", *WITH_PODS, folder=container)

    def has(folder: Path, kinds: str, count: int) -> bool:
        return bool(run_of(folder)) and len(left(lab, attacked, run_of(folder), kinds).split()) >= count

    moments = (
        (living, lambda: has(container, "namespaces", 2), "a namespace in each cluster"),
        (killed, lambda: has(here, "gateways.networking.istio.io", 1), "a Gateway"),
    )
    together(lambda moment: stop_when(*moment), moments)
    killed.kill()
    killed.communicate()
    made = Kept(run_of(here), run_of(container), living)  # later runs have locks there, too
    yield made
    living.kill()
    living.communicate()
    runs = f"{RUN} in ({made.killed},{made.living})"
    for cluster in ("target", "client"):  # nothing, if the test passed
        lab.kubectl(cluster, "delete", "namespaces,pods", "-A", "-l", runs, "--wait=false")


def test_verification_cleans_up_after_a_killed_one_and_a_signal_leaves_nothing_behind(
    lab: Lab, project: Project, attacked: Attacked, kept: Kept
) -> None:
    expire_routes(lab, attacked, kept.killed)
    read_only_names(lab, project, attacked, kept.killed)
    old, of_living = (set(left(lab, attacked, run).split()) for run in ("", kept.living))

    def new_namespaces() -> int:
        return len([each for each in set(left(lab, attacked).split()) - old if each.startswith("namespace/")])

    signals = (signal.SIGINT, signal.SIGHUP)
    with LASTING.played(lab):  # both runs are amid their checks when signalled, and do not clean up on their own
        running = [start(project, attacked) for _ in signals]
        eventually(lambda: new_namespaces() > 2, "both have namespaces, of which each has one in each cluster")
        for process, number in zip(running, signals, strict=True):
            process.send_signal(number)
    for process, number in zip(running, signals, strict=True):
        said, _ = process.communicate(timeout=300)
        assert process.returncode == 128 + number, said
        assert "left behind" not in said
    assert set(left(lab, attacked).split()) == of_living, "what the killed one left is gone, too"
    for number in (signal.SIGTERM, signal.SIGCONT):
        kept.living_process.send_signal(number)
    said, _ = kept.living_process.communicate(timeout=300)
    assert kept.living_process.returncode == 128 + signal.SIGTERM, said
    assert not left(lab, attacked)


def expire_routes(lab: Lab, attacked: Attacked, run: str) -> None:
    """Let the deadline of a killed run's Jobs pass: the cluster deletes them and the routes."""
    kinds = "jobs,gateways.networking.istio.io,virtualservices.networking.istio.io"
    assert left(lab, attacked, run, kinds)
    soon = json.dumps({"spec": {"activeDeadlineSeconds": 1}})
    labels = f"{LABEL}={attacked.connected.state.owner},{RUN}={run}"
    named = "jsonpath={range .items[*]}{.metadata.namespace} {.metadata.name}{'\\n'}{end}"
    for cluster in ("target", "client"):
        for job in lab.kubectl(cluster, "get", "jobs", "-A", "-l", labels, "-o", named).splitlines():
            namespace, name = job.split()
            lab.kubectl(cluster, "-n", namespace, "patch", "job", name, "-p", soon)
    eventually(lambda: not left(lab, attacked, run, kinds), "the routes go with their Jobs")


def read_only_names(lab: Lab, project: Project, attacked: Attacked, killed: str) -> None:
    """Verify with `--read-only`: it names what the killed run left, and creates and deletes nothing."""
    seen: set[str] = set()
    before = left(lab, attacked)
    with meanwhile(lambda: seen.add(left(lab, attacked)), 0.2):
        done = project.verify(attacked.deployed.stack, "--read-only", "--json")
    report = json.loads(done.stdout)
    assert (done.returncode, seen) == (2, {before})
    assert report["totals"]["failed"] == 0, done.stderr
    named = [command.removesuffix("  # of a killed run").split()[-1] for command in report["left"]]
    names = [each.partition("/")[2] for each in left(lab, attacked, killed).split()]
    expected = [name for name in names if name.startswith("kyma-mtls-")]  # others go with their namespace
    assert sorted(named) == sorted(expected), report["left"]
    skipped = {check["promise"]: check["seen"] for check in report["checks"] if check["verdict"] == "skipped"}
    assert skipped["an expired certificate is refused"] == "--read-only: the check would read the CA's private key"
    created = [
        *("the workload refuses Pods that bypass the gateway", "an undeclared caller does not reach first"),
        *(
            "a Gateway in an unrelated namespace does not publish the host",
            "a VirtualService in an unrelated namespace does not capture the host's requests",
        ),
        "a Pod without a sidecar cannot connect out of the stack's namespace",
    ]
    assert {skipped[promise] for promise in created} == {
        "--read-only: the check would create Pods or objects of Istio in a cluster"
    }
