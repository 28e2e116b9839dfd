"""Removal of namespaces and Pods that a killed run of the verification left in a cluster."""

import os
import socket
from datetime import UTC, datetime
from typing import Any

from kubernetes.client import ApiClient, CoreV1Api

from verification.manifests import LIFETIME, RUN
from verification.pods import REQUEST_SECONDS, exists


def sweep(api: ApiClient, stack_namespace: str, selector: str) -> None:
    """Delete the namespaces, and the Pods in the stack's namespace, of runs that are over.

    selector: of everything that the stack's attackers created
    """
    core = CoreV1Api(api)
    namespaces: Any = core.list_namespace(label_selector=selector, _request_timeout=REQUEST_SECONDS)
    for namespace in filter(_is_abandoned, namespaces.items):
        delete_namespace(api, namespace.metadata.name)
    found: Any = core.list_namespaced_pod(stack_namespace, label_selector=selector, _request_timeout=REQUEST_SECONDS)
    for pod in filter(_is_abandoned, found.items):
        delete_pod(api, stack_namespace, pod.metadata.name)


def delete_namespace(api: ApiClient, name: str) -> None:
    """Delete a namespace if it exists."""
    exists(lambda: CoreV1Api(api).delete_namespace(name, _request_timeout=REQUEST_SECONDS))


def delete_pod(api: ApiClient, namespace: str, name: str) -> None:
    """Delete a Pod if it exists."""
    exists(lambda: CoreV1Api(api).delete_namespaced_pod(name, namespace, _request_timeout=REQUEST_SECONDS))


def _is_abandoned(item: Any) -> bool:
    """Return whether the run that created an object is over; for a run of a different machine, once its Pods ended."""
    host, _, process = (item.metadata.annotations or {}).get(RUN, "").rpartition("/")
    if host == socket.gethostname() and process.isdigit() and not _runs(int(process)):
        return True
    return bool(datetime.now(UTC) - item.metadata.creation_timestamp > LIFETIME)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
