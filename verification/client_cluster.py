"""A client's cluster: its credential, its demo's curl, and its egress gateway's log."""

import base64
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

from kubernetes.client import ApiClient, ApiException, CoreV1Api

from components.namespaced_name import NamespacedName
from verification import pods
from verification.checks import Failed
from verification.pods import REQUEST_SECONDS, Executed
from verification.tls import ClientCredential

CURL = {"app": "curl"}

# Envoy writes its log every 10 s: https://www.envoyproxy.io/docs/envoy/latest/operations/cli#cmdoption-file-flush-interval-msec
_LOG_DELAY = timedelta(seconds=15)


@dataclass(frozen=True)
class ClientCluster:
    """A client's cluster.

    namespace: the stack's, in which the demo runs
    gateway: the Service of the egress gateway
    secret: the name of the Secret with the credential, in the gateway's namespace
    """

    api: ApiClient
    namespace: str
    gateway: NamespacedName
    secret: str

    def credential(self) -> ClientCredential:
        """Read the egress gateway's own credential from its Secret."""
        described = f"Secret {NamespacedName(self.gateway.namespace, self.secret)}"
        try:
            secret: Any = CoreV1Api(self.api).read_namespaced_secret(
                self.secret, self.gateway.namespace, _request_timeout=REQUEST_SECONDS
            )
        except ApiException as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            raise Failed(
                f"{described} is missing in the client's cluster; `pulumi up --refresh` creates it again"
            ) from None
        data = secret.data or {}
        missing = [key for key in ("tls.crt", "tls.key") if not data.get(key)]
        if missing:
            raise Failed(f"{described} has no {' and no '.join(missing)}")
        return ClientCredential(base64.b64decode(data["tls.crt"]), base64.b64decode(data["tls.key"]))

    def curl(self, *arguments: str) -> Executed:
        """Run curl in the demo's Pod; raise Failed if no such Pod is ready."""
        ready = pods.ready(self.api, self.namespace, CURL)
        if not ready:
            raise Failed(f"no curl Pod is ready in namespace {self.namespace}")
        return pods.execute(self.api, self.namespace, ready[0].metadata.name, "curl", "curl", *arguments)

    def wait_for_log(self, marker: str, since: datetime) -> str:
        """Return the line of the egress gateway's log that has the marker; raise Failed if there is none."""
        while True:
            for line in self._egress_gateway_log(since).splitlines():
                if marker in line:
                    return line
            if datetime.now(UTC) - since > _LOG_DELAY:
                raise Failed("the egress gateway's log has no line of this request")
            time.sleep(1)

    def _egress_gateway_log(self, since: datetime) -> str:
        seconds = int((datetime.now(UTC) - since).total_seconds()) + 2
        core = CoreV1Api(self.api)
        logs = (
            core.read_namespaced_pod_log(
                pod.metadata.name,
                self.gateway.namespace,
                container=pods.SIDECAR,  # webhooks may inject containers of their own
                since_seconds=seconds,
                _request_timeout=REQUEST_SECONDS,
            )
            for pod in pods.selected(self.api, self.gateway)
        )
        return "\n".join(log or "" for log in logs)
