"""A host is added, and keys are rotated, under 100 requests a second: which of them fail, and what proxies say of each.

It takes some six minutes, and is no part of `make test`. In the running lab:

    .venv-dev/bin/pytest -v -s --running-lab tests/e2e/rotation_under_load.py

Environment: LOAD_RATE, requests a second from the caller's Pod, 100 by default; LOAD_SECONDS, for how long the load
goes on after each update, 60 by default: gateways end idle connections 30 to 45 s after a change.
"""

import http.client
import os
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import pytest

from tests.e2e.support.lab import Lab
from tests.e2e.support.project import Project
from tests.e2e.support.stack import Deployed
from tests.e2e.support.waiting import eventually, meanwhile

NAMESPACE = "loaded"
DOMAIN, SECOND = "loaded.target.test", "second.loaded.target.test"
RATE, SECONDS = int(os.environ.get("LOAD_RATE", "100")), int(os.environ.get("LOAD_SECONDS", "60"))
HOST = {"domain": DOMAIN, "methods": ["GET", "POST"]}
BASE: dict[str, Any] = {
    "namespace": NAMESPACE,
    "clients": {"client": {"kubeconfig": ".lab/client.kubeconfig", "domain": "loaded.client.test"}},
    "hosts": {"httpbin": HOST},
}
STEPS: dict[str, dict[str, Any]] = {
    "a host is added": {"hosts": {"httpbin": HOST, "second": {"domain": SECOND}}},
    "1. both sides trust the next CA": {"trustedGenerations": ["2"]},
    "2. the next CA signs": {"generation": "2", "trustedGenerations": ["1"]},
    "3. the old CA is gone": {"trustedGenerations": []},
}
PROXIES = (
    ("caller's sidecar", "client", NAMESPACE, "curl"),
    ("egress gateway", "client", "istio-system", "istio-egressgateway"),
    ("ingress gateway", "target", "istio-system", "istio-ingressgateway"),
    ("workload's sidecar", "target", NAMESPACE, "httpbin"),
)
TELEMETRY = {
    "apiVersion": "telemetry.istio.io/v1",
    "kind": "Telemetry",
    "metadata": {"name": "failed-requests", "namespace": "istio-system"},
    "spec": {
        "accessLogging": [
            {
                "providers": [{"name": "envoy"}],
                "filter": {"expression": "response.code >= 400 || response.code == 0"},
            }
        ]
    },
}
# Ten requests at a time keep connections busy, and every seven seconds thirty take a while: so the proxies keep many
# connections, of which most are idle. Each request is known by its number in the access logs.
CALLERS = 10
IN_THE_POD = """
ask() {
    # curl writes to stderr at once, but in pieces.
    curl -s --no-progress-meter --max-time 20 -o /dev/null -w '%{stderr}%{http_code} %{url_effective} %{errormsg}\\n' \\
        "$@" 2>&1 | while read -r line; do echo "$line"; done
}
for n in CALLERS; do
    if [ $((n % 2)) = 0 ]; then set -- -X POST -d x; else set --; fi
    ask --rate PER_MINUTE/m "$@" "http://DOMAIN/anything?load=$n-[1-999999]" &
done
(n=0; while :; do
    n=$((n + 1)); ask -Z --parallel-max 30 "http://DOMAIN/delay/0.5?load=many$n-[1-30]"; sleep 7
done) &
cat >/dev/null
kill 0
"""


@dataclass(frozen=True)
class Failure:
    """A request that was not served with 200.

    sent: when its answer came, seconds since the epoch
    said: status, or error
    """

    sent: float
    number: str
    said: str


@dataclass
class Load:
    """Requests by pooled connections from the caller's Pod, and by a new connection each from outside."""

    lab: Lab
    deployed: Deployed
    served: int = 0
    failures: list[Failure] = field(default_factory=list)
    _asked: int = 0

    def __post_init__(self) -> None:
        self.take_credential()

    def take_credential(self) -> None:
        """Go on outside with the credential and the CAs that are there now."""
        self._endpoint, self._held = self.deployed.endpoint("httpbin"), self.deployed.credential("client")

    @contextmanager
    def running(self) -> Iterator[None]:
        """Send requests, until the context ends."""
        inside = ("-n", NAMESPACE, "exec", "-i", "deploy/curl", "-c", "curl", "--", "sh", "-c", _script())
        command = ["kubectl", "--kubeconfig", self.lab.kubeconfig("client"), *inside]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as shell:
            reader = threading.Thread(target=self._read, args=(shell,))
            reader.start()
            try:
                with meanwhile(self._ask_from_outside, 0.1):
                    yield
            finally:
                assert shell.stdin
                shell.stdin.close()
                reader.join()

    def _read(self, shell: subprocess.Popen[str]) -> None:
        assert shell.stdout
        for line in shell.stdout:
            status, _, rest = line.strip().partition(" ")
            url, _, error = rest.partition(" ")
            self._count(url.rpartition("load=")[2], status, error)

    def _ask_from_outside(self) -> None:
        self._asked += 1
        number = f"outside-{self._asked}"
        try:
            answer = self._endpoint.request("GET", f"/anything?load={number}", self._held)
            self._count(number, str(int(answer.status)))
        except (OSError, http.client.HTTPException) as error:
            self._count(number, "no answer", str(error))

    def _count(self, number: str, status: str, error: str = "") -> None:
        if status == str(int(HTTPStatus.OK)):
            self.served += 1
        else:
            self.failures.append(Failure(time.time(), number, f"{status} {error}".strip()))


def _script() -> str:
    numbers = " ".join(map(str, range(CALLERS)))
    values = {"CALLERS": numbers, "PER_MINUTE": str(RATE * 60 // CALLERS), "DOMAIN": DOMAIN}
    return re.sub("CALLERS|PER_MINUTE|DOMAIN", lambda found: values[found[0]], IN_THE_POD)


@pytest.fixture
def logged(lab: Lab) -> Iterator[None]:
    """Let every proxy write what fails into its access log, from before its stack on."""
    try:
        for cluster in ("target", "client"):
            lab.apply(cluster, TELEMETRY)
        yield
    finally:
        for cluster in ("target", "client"):
            lab.kubectl(cluster, "-n", "istio-system", "delete", "telemetries", "failed-requests", "--ignore-not-found")


def explanations(lab: Lab) -> dict[str, list[str]]:
    """Return what proxies say of failed requests, by their number: flags, details, upstream and its failure."""
    said: dict[str, list[str]] = {}
    for named, cluster, namespace, name in PROXIES:
        logs = ("-n", namespace, "logs", f"deploy/{name}", "-c", "istio-proxy", "--since=20m")
        for line in lab.kubectl(cluster, *logs).splitlines():
            if number := re.search(r"[?&]load=([a-z0-9-]+)", line):
                said.setdefault(number[1], []).append(f"{named}: {line}")
    return said


@pytest.mark.timeout(1800)
@pytest.mark.usefixtures("logged")
def test_no_request_fails_while_a_host_is_added_and_keys_are_rotated(lab: Lab, project: Project) -> None:
    began: list[tuple[float, str]] = [(time.time(), "before the first change")]
    with project.deployment(NAMESPACE, **BASE) as deployed:
        deployed.up()
        load = Load(lab, deployed)
        with load.running():
            eventually(lambda: load.served > 5 * RATE, "the load is one")
            for name, change in STEPS.items():
                began.append((time.time(), name))
                deployed.up(**change)
                print(f"\n{name}: updated in {time.time() - began[-1][0]:.0f} s", flush=True)
                if "hosts" in change:
                    answers = [lab.status(NAMESPACE, f"http://{SECOND}/headers") for _ in range(10)]
                    assert set(answers) == {"200"}, answers
                load.take_credential()
                time.sleep(SECONDS)
        said = explanations(lab) if load.failures else {}
    print(f"\n{load.served} requests were served, {len(load.failures)} failed")
    for failure in load.failures:
        since, step = next((each for each in reversed(began) if each[0] <= failure.sent), began[0])
        print(f"\n{step}, {failure.sent - since:.2f} s after its begin: {failure.number}: {failure.said}")
        print("\n".join(f"    {line}" for line in said.get(failure.number, ["no proxy says anything of it"])))
    assert not load.failures
