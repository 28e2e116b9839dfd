"""What the verification reads and runs in a client's cluster."""

import base64
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

import websocket
from kubernetes.client import ApiClient, ApiException, CoreV1Api
from kubernetes.stream import stream
from kubernetes.stream.ws_client import WSClient

from verification.checks import Failed
from verification.tls import ClientCredential

ISTIO_SYSTEM = "istio-system"

_REQUEST_SECONDS = 10
_COMMAND_SECONDS = 60
_LOG_DELAY = timedelta(seconds=15)  # Envoy writes its log in batches


@dataclass(frozen=True)
class Executed:
    """How a command in a Pod ended."""

    code: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class ClientCluster:
    """A client's cluster: its API, the `namespace` of the demo and the `secret` of the egress gateway's credential."""

    api: ApiClient
    namespace: str
    secret: str

    def credential(self) -> ClientCredential:
        """Read the egress gateway's own credential from its Secret."""
        called = f"Secret {ISTIO_SYSTEM}/{self.secret}"
        try:
            secret: Any = CoreV1Api(self.api).read_namespaced_secret(
                self.secret, ISTIO_SYSTEM, _request_timeout=_REQUEST_SECONDS
            )
        except ApiException as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            raise Failed(f"{called} is missing in the client's cluster; `pulumi up --refresh` makes it anew") from None
        data = secret.data or {}
        missing = [key for key in ("tls.crt", "tls.key") if not data.get(key)]
        if missing:
            raise Failed(f"{called} has no {' and no '.join(missing)}")
        return ClientCredential(base64.b64decode(data["tls.crt"]), base64.b64decode(data["tls.key"]))

    def curl(self, *arguments: str) -> Executed:
        """Run curl in the demo's Pod. Raise Failed while no such Pod is ready."""
        pods: Any = CoreV1Api(self.api).list_namespaced_pod(
            self.namespace, label_selector="app=curl", _request_timeout=_REQUEST_SECONDS
        )
        ready = [pod.metadata.name for pod in pods.items if _is_ready(pod)]
        if not ready:
            raise Failed(f"no curl Pod is ready in namespace {self.namespace}")
        # While it connects, stream() changes the ApiClient that it is given, which must not be another thread's.
        with ApiClient(self.api.configuration) as own:
            try:
                session = stream(
                    CoreV1Api(own).connect_get_namespaced_pod_exec,
                    ready[0],
                    self.namespace,
                    container="curl",
                    command=["curl", *arguments],
                    stdout=True,
                    stderr=True,
                    _preload_content=False,
                )
                session.run_forever(timeout=_COMMAND_SECONDS)
                return Executed(_exit_code(session), session.read_stdout() or "", session.read_stderr() or "")
            except websocket.WebSocketException as error:
                raise Failed(f"the connection to Pod {self.namespace}/{ready[0]} broke: {error}") from None

    def wait_for_log(self, marker: str, since: datetime) -> str:
        """Return the line of the egress gateway's log that has the marker; raise Failed if there is none."""
        while True:
            for line in self._egress_gateway_log(since).splitlines():
                if marker in line:
                    return line
            if datetime.now(UTC) - since > _LOG_DELAY:
                raise Failed("the egress gateway's log has no line of it")
            time.sleep(1)

    def _egress_gateway_log(self, since: datetime) -> str:
        seconds = int((datetime.now(UTC) - since).total_seconds()) + 2
        core = CoreV1Api(self.api)
        pods: Any = core.list_namespaced_pod(
            ISTIO_SYSTEM,
            label_selector="istio=egressgateway",
            field_selector="status.phase=Running",
            _request_timeout=_REQUEST_SECONDS,
        )
        logs = (
            core.read_namespaced_pod_log(
                pod.metadata.name, ISTIO_SYSTEM, since_seconds=seconds, _request_timeout=_REQUEST_SECONDS
            )
            for pod in pods.items
        )
        return "\n".join(log or "" for log in logs)


def _is_ready(pod: Any) -> bool:
    conditions = pod.status.conditions or []
    return not pod.metadata.deletion_timestamp and any(c.type == "Ready" and c.status == "True" for c in conditions)


def _exit_code(session: WSClient) -> int:
    try:
        code = session.returncode
    except (TypeError, LookupError, ValueError):  # the API server told no exit code
        raise Failed("curl was not run to its end in its Pod") from None
    if code is None:
        session.close()
        raise Failed(f"curl did not end within {_COMMAND_SECONDS} s in its Pod")
    return int(code)
