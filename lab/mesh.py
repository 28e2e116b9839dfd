"""What runs inside a cluster: CoreDNS and Istio; and the questions whether all of it is well."""

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from lab.errors import LabError
from lab.node import Node
from lab.sandbox import CONFIG

DEPLOYMENTS = {"kube-system": ["coredns"], "istio-system": ["istiod", "istio-ingressgateway", "istio-egressgateway"]}


class Mesh:
    """Drives one cluster with the kubectl and istioctl in the directory programs."""

    def __init__(self, node: Node, programs: Path) -> None:
        self.node = node
        self.programs = programs

    def install(self, report: Callable[[str], None]) -> None:
        """Bring a cluster that has just been started to a working mesh; report is told each step that is done."""
        self._wait("the API server answers", lambda: self._run("kubectl", "get", "--raw=/readyz"))
        self._wait("the default service account exists", lambda: self._run("kubectl", "get", "sa", "default"))
        report("API server answers")
        self._kubectl("apply", "-f", "-", stdin=self.node.fill("cluster.yaml"))
        installed = self._run("istioctl", "install", "-y", "-f", str(CONFIG / "istio.yaml"))
        if installed.returncode:
            raise LabError(
                f"{self.node.name}: istioctl install failed: {installed.stderr.strip()[-500:]} "
                f"(see `python -m lab logs {self.node.name}`)"
            )
        report("Istio is installed")
        self._kubectl("apply", "-f", str(CONFIG / "mesh.yaml"))
        self._give_address()
        self._wait(
            "every deployment is available",
            lambda: self._run(
                "kubectl", "-n", "kube-system", "rollout", "status", "deployment/coredns", "--timeout=5s"
            ),
        )
        report("is ready")

    def problems(self) -> list[str]:
        """What is wrong with the cluster, a line each; empty when it is well."""
        if not self.node.sandbox.alive():
            return ["not running"]
        if not (self.programs / "kubectl").exists():
            return ["the cache has no kubectl to ask it with: run `python -m lab up`"]
        ready = self._run("kubectl", "get", "--raw=/readyz")
        if ready.returncode:
            return ["the API server does not answer"]
        problems = []
        if "True" not in self._jsonpath("node", self.node.name, "", '{.status.conditions[?(@.type=="Ready")].status}'):
            problems.append("the node is not Ready")
        for namespace, names in DEPLOYMENTS.items():
            for name in names:
                if self._jsonpath("deployment", name, namespace, "{.status.availableReplicas}") in ("", "0"):
                    problems.append(f"{name} is not available")
        if self.gateway_address() != self.node.address:
            problems.append("the ingress gateway has no address")
        return problems

    def gateway_address(self) -> str:
        return self._jsonpath("service", "istio-ingressgateway", "istio-system", "{.status.loadBalancer.ingress[0].ip}")

    def _give_address(self) -> None:
        """Do what a cloud's load balancer would: give the ingress gateway's Service the node's address."""
        patch = {"status": {"loadBalancer": {"ingress": [{"ip": self.node.address}]}}}
        self._kubectl(
            "-n",
            "istio-system",
            "patch",
            "service",
            "istio-ingressgateway",
            "--subresource=status",
            "--type=merge",
            "-p",
            json.dumps(patch),
        )

    def _jsonpath(self, kind: str, name: str, namespace: str, path: str) -> str:
        scope = ["-n", namespace] if namespace else []
        return self._run("kubectl", *scope, "get", kind, name, "-o", f"jsonpath={path}").stdout

    def _kubectl(self, *arguments: str, stdin: str = "") -> None:
        result = self._run("kubectl", *arguments, stdin=stdin)
        if result.returncode:
            raise LabError(f"{self.node.name}: kubectl {arguments[0]} failed: {result.stderr.strip()}")

    def _run(self, program: str, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"KUBECONFIG": str(self.node.kubeconfig)}
        return subprocess.run(
            [self.programs / program, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            env=environment,
            check=False,
        )

    def _wait(self, what: str, attempt: Callable[[], subprocess.CompletedProcess[str]], seconds: float = 120) -> None:
        deadline = time.monotonic() + seconds
        while (result := attempt()).returncode:
            if time.monotonic() > deadline:
                raise LabError(
                    f"{self.node.name}: waited {seconds:.0f} s until {what}: "
                    f"{result.stderr.strip()} (see `python -m lab logs {self.node.name}`)"
                )
            if not self.node.sandbox.alive():
                raise LabError(f"{self.node.name}: the node has ended (see `python -m lab logs {self.node.name} node`)")
            time.sleep(0.3)
