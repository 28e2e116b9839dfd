"""Temporary objects of one run in a cluster, remembered from the request that creates them to their end."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import Any

from kubernetes.client import ApiClient, ApiException, CoreV1Api

from verification.pods import REQUEST_SECONDS, exists
from verification.sweeping import delete_namespace, delete_pod

_NAMESPACE = "namespace"
_GONE_SECONDS = 60


@dataclass
class Temporary:
    """A temporary namespace, and Pods in the stack's namespace whose names begin with its name.

    where: the cluster's name in messages
    name: of the namespace
    """

    where: str
    api: ApiClient
    stack_namespace: str
    name: str
    _may_exist: set[str] = field(default_factory=set, repr=False)

    def create_namespace(self, body: Any) -> None:
        """Create the namespace."""
        with self._noted(_NAMESPACE):
            create(lambda: CoreV1Api(self.api).create_namespace(body, _request_timeout=REQUEST_SECONDS))

    def create_stack_pod(self, body: Any) -> None:
        """Create a Pod in the stack's namespace."""
        with self._noted(body["metadata"]["name"]):
            self.create_pod(self.stack_namespace, body)

    def create_pod(self, namespace: str, body: Any) -> None:
        """Create a Pod. If its namespace is the temporary one, it ends with the namespace."""
        create(lambda: CoreV1Api(self.api).create_namespaced_pod(namespace, body, _request_timeout=REQUEST_SECONDS))

    def remove(self) -> list[str]:
        """Delete namespace and Pod and wait until they are gone; return the commands that delete the rest."""
        core, end = CoreV1Api(self.api), time.monotonic() + _GONE_SECONDS

        def delete(each: str) -> None:
            if each == _NAMESPACE:
                delete_namespace(self.api, self.name)
            else:
                delete_pod(self.api, self.stack_namespace, each)

        def read(each: str) -> object:
            if each == _NAMESPACE:
                return core.read_namespace(self.name, _request_timeout=REQUEST_SECONDS)
            return core.read_namespaced_pod(each, self.stack_namespace, _request_timeout=REQUEST_SECONDS)

        going: set[str] = set()
        for each in self._may_exist:
            with suppress(Exception):  # `left` reports it, and the rest is still deleted
                delete(each)
                going.add(each)
        while going and time.monotonic() < end:
            for each in tuple(going):
                with suppress(Exception):
                    if not exists(partial(read, each)):
                        going.remove(each)
                        self._may_exist.remove(each)
            time.sleep(0.3 if going else 0)
        return self.left

    @property
    def left(self) -> list[str]:
        """The commands that delete what is left, or may be left."""
        pods = sorted(self._may_exist - {_NAMESPACE})
        commands = [f"{self.where}: kubectl -n {self.stack_namespace} delete pod {pod}" for pod in pods]
        if _NAMESPACE in self._may_exist:
            commands.append(f"{self.where}: kubectl delete namespace {self.name}")
        return commands

    @contextmanager
    def _noted(self, kind: str) -> Iterator[None]:
        """Note an object before its creation, and forget it again if the API server refuses it."""
        is_new = kind not in self._may_exist
        self._may_exist.add(kind)
        try:
            yield
        except ApiException as error:  # after any other error, the object may exist
            if is_new and error.status and error.status < HTTPStatus.INTERNAL_SERVER_ERROR:
                self._may_exist.remove(kind)
            raise


def create(ask: Callable[[], object]) -> None:
    """Create an object; pass if it exists, since an earlier attempt without an answer may have created it."""
    try:
        ask()
    except ApiException as error:
        if error.status != HTTPStatus.CONFLICT:
            raise
