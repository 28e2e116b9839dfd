"""Temporary objects of one run in a cluster, remembered from the request that creates them to their end."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from kubernetes.client import ApiClient, ApiException, CoreV1Api, V1DeleteOptions, V1Preconditions

from verification.manifests import RUN
from verification.pods import REQUEST_SECONDS

NAMESPACE, POD = "namespace", "pod"
_GONE_SECONDS = 60


@dataclass(frozen=True, order=True)
class Made:
    """A namespace or a Pod that a run made.

    namespace: of a Pod; empty for a namespace
    run: the id of the run, as its label has it
    """

    kind: str
    namespace: str
    name: str
    run: str

    @property
    def command(self) -> str:
        """The command that deletes it."""
        return f"kubectl {f'-n {self.namespace} ' if self.namespace else ''}delete {self.kind} {self.name}"

    def uid(self, api: ApiClient) -> str | None:
        """Return its uid; None if it is gone, also if another run has made one of the same name."""
        core = CoreV1Api(api)
        found: Any
        try:
            if self.kind == POD:
                found = core.read_namespaced_pod(self.name, self.namespace, _request_timeout=REQUEST_SECONDS)
            else:
                found = core.read_namespace(self.name, _request_timeout=REQUEST_SECONDS)
        except ApiException as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            return None
        return found.metadata.uid if (found.metadata.labels or {}).get(RUN, "") == self.run else None

    def delete(self, api: ApiClient) -> None:
        """Request its deletion if it exists, and has not been replaced meanwhile."""
        uid = self.uid(api)
        if uid is None:
            return
        core = CoreV1Api(api)
        this: dict[str, Any] = {
            "body": V1DeleteOptions(preconditions=V1Preconditions(uid=uid)),
            "_request_timeout": REQUEST_SECONDS,
        }
        try:
            if self.kind == POD:
                core.delete_namespaced_pod(self.name, self.namespace, **this)
            else:
                core.delete_namespace(self.name, **this)
        except ApiException as error:
            # Conflict: it was replaced, or is a namespace that is being deleted already.
            if error.status not in (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT):
                raise


@dataclass
class Temporary:
    """A run's temporary namespace in a cluster, its Pods in the stack's namespace, and what it sweeps.

    where: the cluster's name in messages
    run: the id of the run, which all that it creates has as a label
    """

    where: str
    api: ApiClient
    run: str
    _may_exist: dict[Made, None] = field(default_factory=dict, repr=False)

    def create_namespace(self, body: Any) -> None:
        """Create the namespace."""
        with self._noted(Made(NAMESPACE, "", body["metadata"]["name"], self.run)):
            create(lambda: CoreV1Api(self.api).create_namespace(body, _request_timeout=REQUEST_SECONDS))

    def create_stack_pod(self, namespace: str, body: Any) -> None:
        """Create a Pod in the stack's namespace."""
        with self._noted(Made(POD, namespace, body["metadata"]["name"], self.run)):
            self.create_pod(namespace, body)

    def create_pod(self, namespace: str, body: Any) -> None:
        """Create a Pod. If its namespace is the temporary one, it ends with the namespace."""
        create(lambda: CoreV1Api(self.api).create_namespaced_pod(namespace, body, _request_timeout=REQUEST_SECONDS))

    def note(self, left: Iterable[Made]) -> None:
        """Note objects that killed runs left: `left` names them, and `remove` deletes them."""
        self._may_exist.update(dict.fromkeys(left))

    def delete(self, noted: Iterable[Made]) -> set[Made]:
        """Request the deletion of objects; return those for which that was not refused."""
        going = set()
        for made in noted:
            with suppress(Exception):  # `left` reports it, and the rest is still deleted
                made.delete(self.api)
                going.add(made)
        return going

    def remove(self) -> list[str]:
        """Delete everything noted and wait until it is gone; return the commands that delete the rest."""
        end, going = time.monotonic() + _GONE_SECONDS, self.delete(tuple(self._may_exist))
        while going and time.monotonic() < end:
            for made in tuple(going):
                with suppress(Exception):
                    if made.uid(self.api) is None:
                        going.remove(made)
                        del self._may_exist[made]
            time.sleep(0.3 if going else 0)
        return self.left

    @property
    def left(self) -> list[str]:
        """The commands that delete what is left, or may be left."""
        known = sorted(self._may_exist)
        return [
            f"{self.where}: {made.command}{'' if made.run == self.run else '  # of a killed run'}" for made in known
        ]

    @contextmanager
    def _noted(self, made: Made) -> Iterator[None]:
        """Note an object before its creation, and forget it again if the API server refuses it."""
        is_new = made not in self._may_exist
        self._may_exist[made] = None
        try:
            yield
        except ApiException as error:  # after any other error, the object may exist
            if is_new and error.status and error.status < HTTPStatus.INTERNAL_SERVER_ERROR:
                del self._may_exist[made]
            raise


def create(ask: Callable[[], object]) -> None:
    """Create an object; pass if it exists, since an earlier attempt without an answer may have created it."""
    try:
        ask()
    except ApiException as error:
        if error.status != HTTPStatus.CONFLICT:
            raise
