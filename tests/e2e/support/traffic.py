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


@dataclass
class Load:
    """Requests one after the other, each by a new connection, from outside and from a caller's Pod.

    pause: seconds between two rounds of them
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
def caller(lab: Lab, namespace: str, url: str) -> Iterator[Callable[[], bool]]:
    """Keep a shell in the demo's Pod, in which each call runs curl and returns whether a URL is served with 200.

    It costs a fraction of `kubectl exec` for each request.
    """
    loop = """while read -r url; do curl -sS --max-time 20 -o /dev/null -w '%{http_code}\\n' "$url"; done"""
    inside = ("-n", namespace, "exec", "-i", "deploy/curl", "-c", "curl", "--", "sh", "-c", loop)
    command = ["kubectl", "--kubeconfig", lab.kubeconfig("client"), *inside]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as shell:
        assert shell.stdin
        assert shell.stdout
        asked, answers = shell.stdin, shell.stdout

        def is_served() -> bool:
            print(url, file=asked, flush=True)
            return answers.readline().strip() == "200"

        yield is_served  # its loop ends with its input


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
