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

from clusters.impersonation import ImpersonatingClient
from components.namespaced_name import NamespacedName
from verification.checks import Failed, Skipped, Unjudged

REQUEST_SECONDS = 10
SIDECAR = "istio-proxy"

_COMMAND_SECONDS = 120


@dataclass(frozen=True)
class Executed:
    """The exit code and the output of a command in a Pod."""

    code: int
    stdout: str
    stderr: str


def refusal_of(error: ApiException) -> str:
    """Return the API server's own message for a refused request."""
    try:
        return str(json.loads(error.body or "")["message"])
    except (ValueError, TypeError, LookupError):
        return str(error.reason)


def labels_of(labels: Mapping[str, str]) -> str:
    """Return the label selector for these labels."""
    return ",".join(f"{name}={value}" for name, value in labels.items())


def selected(api: ApiClient, service: NamespacedName) -> list[Any]:
    """Return the running Pods behind a Service; raise Failed if there is no such Service, or no such Pod."""
    core = CoreV1Api(api)
    try:
        found: Any = core.read_namespaced_service(service.name, service.namespace, _request_timeout=REQUEST_SECONDS)
    except ApiException as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise
        raise Failed(f"there is no Service {service}") from None
    running: Any = core.list_namespaced_pod(
        service.namespace,
        label_selector=labels_of(found.spec.selector or {}),
        field_selector="status.phase=Running",
        _request_timeout=REQUEST_SECONDS,
    )
    if not running.items:
        raise Failed(f"no Pod of Service {service} is running")
    return list(running.items)


def ready(api: ApiClient, namespace: str, labels: Mapping[str, str]) -> list[Any]:
    """Return the Pods with these labels that are ready."""
    found: Any = CoreV1Api(api).list_namespaced_pod(
        namespace, label_selector=labels_of(labels), _request_timeout=REQUEST_SECONDS
    )
    return [pod for pod in found.items if is_ready(pod)]


def is_ready(pod: Any) -> bool:
    """Return whether a Pod is ready and not being deleted."""
    conditions = pod.status.conditions or []
    return not pod.metadata.deletion_timestamp and any(c.type == "Ready" and c.status == "True" for c in conditions)


def target_port(pod: Any, port: Any) -> int | None:
    """Return the number of a Pod's port behind a port of a Service; None if the Pod has no port of that name."""
    target = port.target_port or port.port
    if isinstance(target, int):
        return target
    containers = [*pod.spec.containers, *(pod.spec.init_containers or [])]
    named = (each for container in containers for each in container.ports or [] if each.name == target)
    return next((int(each.container_port) for each in named), None)


def in_url(address: str) -> str:
    """Return an IP address as a URL has it."""
    return f"[{address}]" if ":" in address else address


def has_sidecar(pod: Any) -> bool:
    """Return whether a Pod has Istio's proxy as a container or as a native sidecar."""
    containers = [*pod.spec.containers, *(pod.spec.init_containers or [])]
    return any(container.name == SIDECAR for container in containers)


def waiting_for(pod: Any) -> str:
    """Return why the containers of a Pod wait; its phase if none does."""
    statuses = [*(pod.status.init_container_statuses or []), *(pod.status.container_statuses or [])]
    reasons = [each.state.waiting.reason for each in statuses if each.state and each.state.waiting]
    return ", ".join(filter(None, reasons)) or pod.status.phase or "unknown"


def execute(api: ApiClient, namespace: str, pod: str, container: str, *command: str) -> Executed:
    """Run a command in a Pod; raise Unjudged if its end is not known, Skipped if the cluster forbids it."""
    if isinstance(api, ImpersonatingClient):  # a WebSocket of the Kubernetes client for Python has no further headers
        raise Skipped("the kubeconfig impersonates another user (`as`), which commands in Pods cannot")
    # stream() patches its ApiClient while it connects (kubernetes/stream/stream.py), so each thread needs its own.
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
            raise Unjudged(f"the connection to Pod {namespace}/{pod} broke: {error}") from None
        except ApiException as error:
            if error.status == HTTPStatus.FORBIDDEN or "403 Forbidden" in str(error.reason):
                raise Skipped(f"the cluster forbids commands in Pod {namespace}/{pod}") from None
            raise


def _exit_code(session: WSClient) -> int:
    try:
        code = session.returncode
    except (TypeError, LookupError, ValueError):  # the API server sent no exit code
        raise Unjudged("the API server reported no exit code of the command in its Pod") from None
    if code is None:
        session.close()
        raise Unjudged(f"the command in the Pod did not end within {_COMMAND_SECONDS} s")
    return int(code)
