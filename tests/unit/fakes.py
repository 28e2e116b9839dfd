"""Fake clusters: connections whose answers a test lists, and an HTTP server in the place of an API server."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from kubernetes.client import ApiClient, Configuration

from clusters import Cluster
from settings import ClusterAccess

HOST = "https://target"
KUBE_SYSTEM = "/api/v1/namespaces/kube-system"

_KINDS = {
    "/api/v1": [
        ("Namespace", "namespaces", False),
        ("ConfigMap", "configmaps", True),
        ("Secret", "secrets", True),
        ("Service", "services", True),
    ],
    "/apis/apps/v1": [("Deployment", "deployments", True)],
    "/apis/networking.istio.io/v1": [("Gateway", "gateways", True), ("Gateway", "gateways/status", True)],
    "/apis/operator.kyma-project.io/v1alpha1": [("APIGateway", "apigateways", False)],
    "/apis/operator.kyma-project.io/v1alpha2": [("Istio", "istios", True)],
    "/apis/cert.gardener.cloud/v1alpha1": [("Certificate", "certificates", True)],
    "/apis/dns.gardener.cloud/v1alpha1": [("DNSEntry", "dnsentries", True)],
}


@dataclass(frozen=True)
class FakeCluster(Cluster):
    """A connection whose answers a test lists, and which records the requests.

    found: answers by path; of a list, one after the other, the last for ever
    asked: the paths that were read
    patched, deleted: the changes, by path
    denied: attributes of the rights that its user lacks; without any, the user is an administrator
    reviewed: the rights that were reviewed
    """

    found: dict[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    patched: list[tuple[str, Any]] = field(default_factory=list)
    deleted: list[tuple[str, str]] = field(default_factory=list)
    denied: list[dict[str, str]] = field(default_factory=list)
    reviewed: list[dict[str, str]] = field(default_factory=list)

    def read(self, path: str, accept: str = "application/json") -> Any:  # noqa: ARG002 - a cluster's signature
        self.asked.append(path)
        if path in _KINDS:
            return discovery()[path]
        found = self.found.get(path)
        if isinstance(found, list):
            return found.pop(0) if len(found) > 1 else found[0]
        return found

    def create(self, path: str, body: Mapping[str, Any]) -> Any:
        """Review a right: it is denied if an entry of `denied` has some of its attributes."""
        assert path.endswith("selfsubjectaccessreviews"), path
        right = body["spec"]["resourceAttributes"]
        self.reviewed.append(right)
        is_denied = any(entry.items() <= right.items() for entry in self.denied)
        return {"status": {"allowed": not is_denied and not (self.denied and right["verb"] == "*")}}

    def patch(self, path: str, change: Mapping[str, Any]) -> Any:
        self.patched.append((path, change))

    def delete(self, path: str, uid: str) -> Any:
        self.deleted.append((path, uid))


def fake_cluster(found: Mapping[str, Any] | None = None, path: str = "target", host: str = HOST) -> FakeCluster:
    """Return a connection to a cluster, with the path of the config that names it."""
    access = ClusterAccess(path=path, kubeconfig="", context="")
    return FakeCluster(access, ApiClient(Configuration(host=host)), found=dict(found or {}))


def discovery() -> dict[str, Any]:
    """Return an API server's discovery answers, by path."""
    return {
        path: {"resources": [{"kind": kind, "name": name, "namespaced": scoped} for kind, name, scoped in kinds]}
        for path, kinds in _KINDS.items()
    }


def kube_system(uid: str) -> dict[str, Any]:
    """Return the namespace kube-system, whose uid identifies a cluster."""
    return {KUBE_SYSTEM: {"metadata": {"name": "kube-system", "uid": uid}}}


@dataclass(frozen=True)
class Answer:
    """A response of the server; with status 0, it closes the connection instead."""

    body: bytes
    status: int = 200


@contextmanager
def api_server(answers: Mapping[str, Any], heard: list[str | None] | None = None) -> Iterator[str]:
    """Serve JSON or Answers by path, 404 elsewhere, on loopback; yield the URL.

    answers: of a list, one after the other
    heard: gets the credential of each request
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if heard is not None:
                heard.append(self.headers["Authorization"])
            found = answers.get(self.path, Answer(b'{"kind": "Status"}', 404))
            if isinstance(found, list):
                found = found.pop(0)
            answer = found if isinstance(found, Answer) else Answer(json.dumps(found).encode())
            if not answer.status:
                self.close_connection = True
                return
            self.send_response(answer.status)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        do_POST = do_GET  # noqa: N815 - the library's name

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
