"""When a cluster counts as broken: the questions to it, and how long the answers may take."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from lab.cluster import Cluster, Problem
from lab.errors import LabError
from lab.node import TARGET
from lab.sandbox import Sandbox

HEALTHY = {
    "--raw=/readyz": "ok",
    "node target": "True",
    "coredns": "1",
    "istiod": "1",
    "istio-ingressgateway": "1",
    "istio-egressgateway": "1",
    "service istio-ingressgateway": "10.77.0.11",
}


class Answers:
    """Stands in for kubectl: answers by the last of these texts that is in the question; without one, it fails."""

    def __init__(self) -> None:
        self.texts = dict(HEALTHY)
        self.asked = 0

    def __call__(self, program: str, *arguments: str, **_: Any) -> subprocess.CompletedProcess[str]:
        self.asked += 1
        question = " ".join((program, *arguments))
        found = [answer for text, answer in self.texts.items() if text in question]
        return subprocess.CompletedProcess(arguments, 0 if found else 1, found[-1] if found else "", "no answer")


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Answers:
    """A healthy cluster, and a clock that runs only during `sleep`."""
    now = [0.0]
    monkeypatch.setenv("KYMA_MTLS_CACHE", str(tmp_path))
    monkeypatch.setattr(Sandbox, "alive", lambda _: True)
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    given = Answers()
    monkeypatch.setattr(Cluster, "_run", lambda _, *arguments, **options: given(*arguments, **options))
    return given


@pytest.fixture
def cluster() -> Cluster:
    return Cluster(TARGET, Path("/programs"))


@pytest.mark.usefixtures("answers")
def test_healthy_cluster_has_no_problem(cluster: Cluster) -> None:
    assert cluster.problem() is None


@pytest.mark.parametrize(
    ("question", "answer", "problem"),
    [
        ("--raw=/readyz", None, Problem("the API server does not answer")),
        ("node target", "False", Problem("the node is not Ready")),
        ("istiod", "", Problem("istiod is not available", is_inside=True)),
        ("istiod", "0", Problem("istiod is not available", is_inside=True)),
        ("service istio-ingressgateway", "", Problem("the ingress gateway has no address", is_inside=True)),
    ],
)
def test_problem_is_named(
    answers: Answers, cluster: Cluster, question: str, answer: str | None, problem: Problem
) -> None:
    answers.texts.pop(question)
    if answer is not None:
        answers.texts[question] = answer
    assert cluster.problem() == problem


def test_node_that_has_ended_is_not_asked(answers: Answers, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Sandbox, "alive", lambda _: False)
    assert cluster.problem() == Problem("not running", is_final=True)
    assert answers.asked == 0


def test_installation_that_fails_is_one_line(answers: Answers, cluster: Cluster) -> None:
    answers.texts |= {"kubectl": ""}
    with pytest.raises(LabError) as failed:
        cluster.install(lambda _: None)
    assert str(failed.value) == (
        "target: istioctl install failed: no answer (`python -m lab logs target` lists the logs)"
    )


def test_api_server_that_never_answers_is_one_line(answers: Answers, cluster: Cluster) -> None:
    answers.texts.clear()
    with pytest.raises(LabError) as failed:
        cluster.install(lambda _: None)
    assert str(failed.value) == (
        "target: waited 240 s until the API server answers: no answer (`python -m lab logs target` lists the logs)"
    )


def test_program_that_hangs_is_ended(tmp_path: Path) -> None:
    program = tmp_path / "kubectl"
    program.write_text("#!/bin/sh\nexec sleep 600\n")
    program.chmod(0o755)
    done = Cluster(TARGET, tmp_path)._run("kubectl", "get", "nodes", seconds=0.2)
    assert (done.returncode, done.stderr) == (1, "kubectl took longer than 0 s")


def test_programs_reach_the_lab_without_a_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "intranet.example")
    program = tmp_path / "kubectl"
    program.write_text('#!/bin/sh\necho "$NO_PROXY $no_proxy"\n')
    program.chmod(0o755)
    for value in Cluster(TARGET, tmp_path)._run("kubectl").stdout.split():
        assert value.startswith("intranet.example,10.77.0.11,")


def test_programs_end_with_the_command_that_started_them(tmp_path: Path) -> None:
    program = tmp_path / "istioctl"
    program.write_text("#!/bin/sh\necho $$ >&2\nexec sleep 60\n")
    program.chmod(0o755)
    run = """
import subprocess, sys
from pathlib import Path
from lab.cluster import Cluster
from lab.node import TARGET
real = subprocess.run
subprocess.run = lambda command, **options: real(command, **options | {"capture_output": False})
Cluster(TARGET, Path(sys.argv[1]))._run("istioctl", "install", seconds=600)
"""
    with subprocess.Popen([sys.executable, "-c", run, str(tmp_path)], stderr=subprocess.PIPE) as command:
        assert command.stderr
        assert int(command.stderr.readline()) > 0
        command.kill()
        killed = time.monotonic()
        command.stderr.read()  # istioctl holds the pipe until it ends
        assert time.monotonic() - killed < 30
