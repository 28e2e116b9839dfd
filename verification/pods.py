"""Pods of a cluster, and commands that run in them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import websocket
from kubernetes.client import ApiClient, ApiException, CoreV1Api
from kubernetes.stream import stream
from kubernetes.stream.ws_client import WSClient

from components.namespaced_name import NamespacedName
from verification.checks import Failed, Skipped

REQUEST_SECONDS = 10
SIDECAR = "istio-proxy"

_COMMAND_SECONDS = 60


@dataclass(frozen=True)
class Executed:
    """How a command in a Pod ended."""

    code: int
    stdout: str
    stderr: str


def refusal_of(error: ApiException) -> str:
    """Return why an API server refused something, in its own words."""
    try:
        return str(json.loads(error.body or "")["message"])
    except (ValueError, TypeError, LookupError):
        return str(error.reason)


def labels_of(labels: Mapping[str, str]) -> str:
    """Return labels as a selector."""
    return ",".join(f"{name}={value}" for name, value in labels.items())


def selected(api: ApiClient, service: NamespacedName) -> list[Any]:
    """Return the running Pods behind a Service; raise Failed if there is no such Service, or none of them."""
    core = CoreV1Api(api)
    try:
        found: Any = core.read_namespaced_service(service.name, service.namespace, _request_timeout=REQUEST_SECONDS)
    except ApiException as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise
        raise Failed(f"there is no Service {service}") from None
    pods: Any = core.list_namespaced_pod(
        service.namespace,
        label_selector=labels_of(found.spec.selector or {}),
        field_selector="status.phase=Running",
        _request_timeout=REQUEST_SECONDS,
    )
    if not pods.items:
        raise Failed(f"no Pod of Service {service} is running")
    return list(pods.items)


def ready(api: ApiClient, namespace: str, labels: Mapping[str, str]) -> list[Any]:
    """Return the Pods with these labels that are ready."""
    pods: Any = CoreV1Api(api).list_namespaced_pod(
        namespace, label_selector=labels_of(labels), _request_timeout=REQUEST_SECONDS
    )
    return [pod for pod in pods.items if is_ready(pod)]


def is_ready(pod: Any) -> bool:
    """Tell whether a Pod serves."""
    conditions = pod.status.conditions or []
    return not pod.metadata.deletion_timestamp and any(c.type == "Ready" and c.status == "True" for c in conditions)


def has_sidecar(pod: Any) -> bool:
    """Tell whether a Pod has Istio's proxy, which may be a native sidecar."""
    containers = [*pod.spec.containers, *(pod.spec.init_containers or [])]
    return any(container.name == SIDECAR for container in containers)


def execute(api: ApiClient, namespace: str, pod: str, container: str, *command: str) -> Executed:
    """Run a command in a Pod to its end. Raise Failed if that cannot be seen, Skipped if it is forbidden."""
    # While it connects, stream() changes the ApiClient that it is given, which must not be another thread's.
    with ApiClient(api.configuration) as own:
        try:
            session = stream(
                CoreV1Api(own).connect_get_namespaced_pod_exec,
                pod,
                namespace,
                container=container,
                command=list(command),
                stdout=True,
                stderr=True,
                _preload_content=False,
            )
            session.run_forever(timeout=_COMMAND_SECONDS)
            return Executed(_exit_code(session), session.read_stdout() or "", session.read_stderr() or "")
        except websocket.WebSocketException as error:
            raise Failed(f"the connection to Pod {namespace}/{pod} broke: {error}") from None
        except ApiException as error:
            if error.status == HTTPStatus.FORBIDDEN or "403 Forbidden" in str(error.reason):
                raise Skipped(f"the cluster does not let commands run in Pod {namespace}/{pod}") from None
            raise


def _exit_code(session: WSClient) -> int:
    try:
        code = session.returncode
    except (TypeError, LookupError, ValueError):  # the API server told no exit code
        raise Failed("the command was not run to its end in its Pod") from None
    if code is None:
        session.close()
        raise Failed(f"the command did not end within {_COMMAND_SECONDS} s in its Pod")
    return int(code)
