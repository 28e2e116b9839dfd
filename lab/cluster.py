"""A cluster seen from the inside: installs CoreDNS and Istio, and diagnoses problems."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lab import proxy
from lab.errors import LabError, last_line
from lab.node import Node
from lab.sandbox import CONFIG

DEPLOYMENTS = {"kube-system": ["coredns"], "istio-system": ["istiod", "istio-ingressgateway", "istio-egressgateway"]}
ANSWER_SECONDS = 20  # for one question; `up` asks again
INSTALL_SECONDS = 600
WAIT_SECONDS = 240


@dataclass(frozen=True)
class Problem:
    """A fault of a cluster.

    is_final: whether waiting does not help.
    is_inside: whether the cluster as such works, so that installing CoreDNS and Istio again may help.
    """

    text: str
    is_final: bool = False
    is_inside: bool = False


class Cluster:
    """Drives one cluster with the kubectl and istioctl in the directory `programs`."""

    def __init__(self, node: Node, programs: Path) -> None:
        self.node = node
        self.programs = programs

    def install(self, report: Callable[[str], None]) -> None:
        """Install CoreDNS and Istio, or their missing objects, and wait until both work; `report` gets each step."""
        self._wait("the API server answers", "get", "--raw=/readyz")
        self._wait("the default service account exists", "get", "serviceaccount", "default")
        report("API server answers")
        self._kubectl("apply", "-f", "-", stdin=self.node.fill("cluster.yaml"))
        done = self._run("istioctl", "install", "-y", "-f", str(CONFIG / "istio.yaml"), seconds=INSTALL_SECONDS)
        if done.returncode:
            raise LabError(f"{self.node.name}: istioctl install failed: {last_line(done.stderr)} ({self._see_logs()})")
        report("Istio is installed")
        self._kubectl("apply", "-f", str(CONFIG / "mesh.yaml"))
        self._give_address()
        for namespace, names in DEPLOYMENTS.items():
            for name in names:
                rollout = ("rollout", "status", f"deployment/{name}", "--timeout=5s")
                self._wait(f"{name} is available", "-n", namespace, *rollout)
        report("is ready")

    def problem(self) -> Problem | None:
        """Return the first problem that the cluster has now; None if it is healthy."""
        return next(self._problems(), None)

    def _problems(self) -> Iterator[Problem]:
        """Ask the cluster step by step; each question makes sense only without the problems before it."""
        if not self.node.sandbox.alive():
            yield Problem("not running", is_final=True)
        if self._run("kubectl", "get", "--raw=/readyz").returncode:
            yield Problem("the API server does not answer")
        if "True" not in self._jsonpath("node", self.node.name, "", '{.status.conditions[?(@.type=="Ready")].status}'):
            yield Problem("the node is not Ready")
        for namespace, names in DEPLOYMENTS.items():
            for name in names:
                if self._jsonpath("deployment", name, namespace, "{.status.availableReplicas}") in ("", "0"):
                    yield Problem(f"{name} is not available", is_inside=True)
        address = "{.status.loadBalancer.ingress[0].ip}"
        if self._jsonpath("service", "istio-ingressgateway", "istio-system", address) != self.node.address:
            yield Problem("the ingress gateway has no address", is_inside=True)

    def _give_address(self) -> None:
        """Do what a cloud's load balancer would: give the ingress gateway's Service the node's address."""
        patch = json.dumps({"status": {"loadBalancer": {"ingress": [{"ip": self.node.address}]}}})
        service = ("-n", "istio-system", "patch", "service", "istio-ingressgateway")
        self._kubectl(*service, "--subresource=status", "--type=merge", "-p", patch)

    def _jsonpath(self, kind: str, name: str, namespace: str, path: str) -> str:
        scope = ["-n", namespace] if namespace else []
        return self._run("kubectl", *scope, "get", kind, name, "-o", f"jsonpath={path}").stdout

    def _kubectl(self, *arguments: str, stdin: str = "") -> None:
        done = self._run("kubectl", *arguments, stdin=stdin)
        if done.returncode:
            raise LabError(f"{self.node.name}: kubectl {arguments[0]} failed: {last_line(done.stderr)}")

    def _run(
        self, program: str, *arguments: str, stdin: str = "", seconds: float = ANSWER_SECONDS
    ) -> subprocess.CompletedProcess[str]:
        """Run a program to its end, this process's or the time limit, whichever comes first."""
        environment = os.environ | proxy.exceptions(os.environ) | {"KUBECONFIG": str(self.node.kubeconfig)}
        command = ["setpriv", "--pdeathsig", "KILL", str(self.programs / program), *arguments]
        try:
            return subprocess.run(
                command,
                input=stdin,
                capture_output=True,
                text=True,
                env=environment,
                check=False,
                timeout=seconds,
            )
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(command, 1, "", f"{program} took longer than {seconds:.0f} s")

    def _wait(self, condition: str, *question: str) -> None:
        """Run kubectl with the arguments `question` until it succeeds; `condition` names its success in the error."""
        deadline = time.monotonic() + WAIT_SECONDS
        while (done := self._run("kubectl", *question)).returncode:
            if time.monotonic() > deadline:
                raise LabError(
                    f"{self.node.name}: waited {WAIT_SECONDS} s until {condition}: {last_line(done.stderr)} "
                    f"({self._see_logs()})"
                )
            if not self.node.sandbox.alive():
                raise LabError(f"{self.node.name}: the node has ended (log: {self.node.logs / 'node.log'})")
            time.sleep(0.3)

    def _see_logs(self) -> str:
        return f"`python -m lab logs {self.node.name}` lists the logs"
