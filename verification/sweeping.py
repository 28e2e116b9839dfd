"""What killed runs of the verification left in a cluster: their namespaces and Pods.

A run is over once its lock on this machine is free, or when what it made is older than `LIFETIME`: by then its Pods
have ended, and it uses none of its objects any more. Both times are the API server's, since clocks of machines differ.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from kubernetes.client import ApiClient, CoreV1Api

from verification import runs
from verification.manifests import LIFETIME, RUN
from verification.pods import REQUEST_SECONDS
from verification.temporary import NAMESPACE, POD, Made


def left_by_killed_runs(api: ApiClient, selector: str) -> list[Made]:
    """Return the namespaces, and the Pods in other namespaces, of runs that are over; not those that are being deleted.

    selector: of everything that the stack's runs made
    """
    core = CoreV1Api(api)
    asked: dict[str, Any] = {"label_selector": selector, "_request_timeout": REQUEST_SECONDS}
    namespaces, now = _listed(core.list_namespace_with_http_info(**asked))
    pods, _ = _listed(core.list_pod_for_all_namespaces_with_http_info(**asked))
    temporary = {each.metadata.name for each in namespaces}
    elsewhere = [each for each in pods if each.metadata.namespace not in temporary]
    return [*_made(NAMESPACE, namespaces, now), *_made(POD, elsewhere, now)]


def _listed(answer: tuple[Any, int, Mapping[str, str]]) -> tuple[list[Any], datetime | None]:
    """Return the objects of a list, and the time of the API server."""
    found, _, headers = answer
    date = headers.get("Date")
    return list(found.items), parsedate_to_datetime(date) if date else None


def _made(kind: str, objects: list[Any], now: datetime | None) -> Iterator[Made]:
    for each in objects:
        run = (each.metadata.labels or {}).get(RUN, "")
        is_old = now is not None and now - each.metadata.creation_timestamp > LIFETIME
        if not each.metadata.deletion_timestamp and (is_old or runs.is_over(run)):
            yield Made(kind, each.metadata.namespace or "", each.metadata.name, run)
