"""Requests beside what a test does: over new connections, and over one that stays open."""

import http.client
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

from tests.e2e.support.lab import Lab
from tests.e2e.support.waiting import eventually, meanwhile
from verification.tls import ClientCredential, Endpoint


def status_or_none(
    endpoint: Endpoint, credential: ClientCredential, path: str = "/headers", method: str = "GET"
) -> int | None:
    """The status of a request; None without an answer, as while the gateway has no certificate yet."""
    try:
        return endpoint.request(method, path, credential).status
    except (OSError, http.client.HTTPException):
        return None


def expect_status(endpoint: Endpoint, credential: ClientCredential, status: int, *request: str) -> None:
    """Wait until a request, a path and a method, gets this status: while Envoy changes over, it may get no answer."""
    what = f"{endpoint.domain} answers {' '.join(request)} with {status}"
    eventually(lambda: status_or_none(endpoint, credential, *request) == status, what)


@contextmanager
def calling_pod(lab: Lab, namespace: str, url: str, cluster: str = "client") -> Iterator[Callable[[], str]]:
    """Keep a shell in a caller's Pod, in which each call lets a new curl ask for a URL once; yield the call.

    It returns the status, 000 without an answer. One `kubectl exec` for each request costs ten times as much.
    """
    ask = f"curl -sS -o /dev/null -w '%{{http_code}}\\n' --max-time 20 {url}"
    inside = ("exec", "-i", "deploy/curl", "-c", "curl", "--", "sh", "-c", f"while read -r _; do {ask}; done")
    command = ("kubectl", "--kubeconfig", lab.kubeconfig(cluster), "-n", namespace, *inside)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as shell:
        assert shell.stdin
        assert shell.stdout
        write, read = shell.stdin.write, shell.stdout.readline

        def call() -> str:
            write("\n")
            return read().strip()

        yield call


@dataclass
class Load:
    """Requests one after the other, each by a new connection, from outside and from a caller's Pod.

    pause: seconds between two rounds of all requests
    """

    requests: dict[str, Callable[[], bool]]
    pause: float = 0.01
    sent: int = 0
    failures: list[str] = field(default_factory=list)

    @contextmanager
    def running(self) -> Iterator[None]:
        for name, request in self.requests.items():
            eventually(request, f"{name} is served before the change")
        with meanwhile(self._send, self.pause):
            time.sleep(1)
            yield
            time.sleep(3)  # until the last change has reached Envoy

    def _send(self) -> None:
        for name, request in self.requests.items():
            self.sent += 1
            if not request():
                self.failures.append(name)


@contextmanager
def open_connection(endpoint: Endpoint, credential: ClientCredential) -> Iterator[Callable[[], int]]:
    """Keep one connection, over which each call asks once more for a status; 0 once the gateway has ended it."""
    with closing(http.client.HTTPConnection(endpoint.domain)) as connection:
        connection.sock = endpoint.connect(credential)

        def ask() -> int:
            if connection.sock is None:  # http.client would connect again
                return 0
            try:
                connection.request("GET", "/headers")
                response = connection.getresponse()
                response.read()
            except (OSError, http.client.HTTPException):
                connection.close()
                return 0
            return response.status

        yield ask
