"""An attacker's place in a cluster: a temporary namespace with Pods, and what is deployed into it for a while.

Namespaces and Pods bear a label with the stack's mark, and their run, so that the next one removes what a killed one
left, and nothing of one that runs beside it.
"""

import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

from kubernetes.client import ApiClient, ApiException, CoreV1Api, CustomObjectsApi

from verification import pods
from verification.checks import Failed, Skipped
from verification.pods import REQUEST_SECONDS, Executed

LABEL = "kyma-mtls/verification"
RUN = "kyma-mtls/verification-run"  # HOST/PID of the process that made it

_ACCOUNT = "attacker"
_WITH_SIDECAR, _WITHOUT_SIDECAR = "with-sidecar", "without-sidecar"
_NAMESPACE, _POD = "namespace", "pod"
_INJECTION = ("istio-injection", "istio.io/rev")
_READY_SECONDS = 60
_GONE_SECONDS = 60
_LIFETIME = timedelta(hours=1)  # of the Pods
_REFUSALS = (HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN, HTTPStatus.UNPROCESSABLE_ENTITY)  # of rights, or a webhook
_GROUP = "networking.istio.io"
_PLURALS = {
    "DestinationRule": "destinationrules",
    "Gateway": "gateways",
    "ServiceEntry": "serviceentries",
    "VirtualService": "virtualservices",
}


@dataclass
class Attacker:
    """Creates nothing before it is asked for a Pod or an object; `remove` deletes all of it.

    where: the cluster, as it is called in messages
    stack_namespace: the stack's own namespace in this cluster
    mark: of the stack
    image: has curl and sleep
    """

    where: str
    api: ApiClient
    stack_namespace: str
    mark: str
    image: str
    name: str = field(default_factory=lambda: f"kyma-mtls-verification-{secrets.token_hex(3)}")
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _is_prepared: bool = False
    _is_removed: bool = False
    _has_pod: bool = False
    _may_be_there: set[str] = field(default_factory=set, repr=False)

    def curl_with_sidecar(self, *arguments: str) -> Executed:
        """Run curl in a Pod with a sidecar."""
        self._prepare()
        return self._curl(self.name, _WITH_SIDECAR, *arguments)

    def curl_without_sidecar(self, *arguments: str) -> Executed:
        """Run curl in a Pod without a sidecar."""
        self._prepare()
        return self._curl(self.name, _WITHOUT_SIDECAR, *arguments)

    def curl_in_stack_namespace(self, *arguments: str) -> Executed:
        """Run curl in a Pod without a sidecar, in the stack's own namespace."""
        self._prepare()
        with self._lock:
            self._check_not_removed()
            if not self._has_pod:
                with _refusal_is_skipped(self.where), self._noted(_POD):
                    self._create_pod(self.stack_namespace, self.name, {})
                self._has_pod = True
        return self._curl(self.stack_namespace, self.name, *arguments)

    @contextmanager
    def deployed(self, *objects: Mapping[str, Any]) -> Iterator[None]:
        """Have objects of Istio's networking kinds in the temporary namespace; each is a kind, a name and a spec."""
        self._prepare()
        custom = CustomObjectsApi(self.api)
        places: list[tuple[str, str, str, str, str]] = []
        try:
            for each in objects:
                place = (_GROUP, "v1", self.name, _PLURALS[each["kind"]])
                body = {
                    "apiVersion": f"{_GROUP}/v1",
                    "kind": each["kind"],
                    "metadata": {"name": each["name"], "labels": self._labels},
                    "spec": each["spec"],
                }
                places.append((*place, each["name"]))
                with self._lock:
                    self._check_not_removed()
                    with _refusal_is_skipped(self.where):
                        custom.create_namespaced_custom_object(*place, body, _request_timeout=REQUEST_SECONDS)
            yield
        finally:
            for deleted in reversed(places):
                with suppress(Exception):  # the namespace takes with it what is left
                    custom.delete_namespaced_custom_object(*deleted, _request_timeout=REQUEST_SECONDS)

    def remove(self) -> list[str]:
        """Delete everything and wait until it is gone; return the commands that delete what is left."""
        with self._lock:
            self._is_removed = True
        core, end = CoreV1Api(self.api), time.monotonic() + _GONE_SECONDS
        deletions = {_POD: self._delete_pod, _NAMESPACE: self._delete_namespace}
        asked = {
            _POD: lambda: core.read_namespaced_pod(self.name, self.stack_namespace, _request_timeout=REQUEST_SECONDS),
            _NAMESPACE: lambda: core.read_namespace(self.name, _request_timeout=REQUEST_SECONDS),
        }
        going: set[str] = set()
        for kind in self._may_be_there:
            with suppress(Exception):  # what cannot be deleted is told, and is no reason to leave the rest
                deletions[kind](self.name)
                going.add(kind)
        while going and time.monotonic() < end:
            for kind in tuple(going):
                with suppress(Exception):
                    if not _found(asked[kind]):
                        going.remove(kind)
                        self._may_be_there.remove(kind)
            time.sleep(0.3 if going else 0)
        return self.left

    @property
    def left(self) -> list[str]:
        """The commands that delete what is, or may be, left."""
        commands = {
            _POD: f"{self.where}: kubectl -n {self.stack_namespace} delete pod {self.name}",
            _NAMESPACE: f"{self.where}: kubectl delete namespace {self.name}",
        }
        return [command for kind, command in commands.items() if kind in self._may_be_there]

    @property
    def _labels(self) -> dict[str, str]:
        return {LABEL: self.mark}

    @property
    def _annotations(self) -> dict[str, str]:
        return {RUN: f"{socket.gethostname()}/{os.getpid()}"}

    @property
    def _selector(self) -> str:
        return f"{LABEL}={self.mark}"

    def _check_not_removed(self) -> None:
        if self._is_removed:
            raise Failed("the verification has ended")

    def _prepare(self) -> None:
        with self._lock:
            self._check_not_removed()
            if self._is_prepared:
                return
            core = CoreV1Api(self.api)
            with _refusal_is_skipped(self.where):
                self._sweep()
                self._create_namespace()
                account: Any = {"metadata": {"name": _ACCOUNT, "labels": self._labels}}
                _create(
                    lambda: core.create_namespaced_service_account(self.name, account, _request_timeout=REQUEST_SECONDS)
                )
                self._create_pod(self.name, _WITH_SIDECAR, {"sidecar.istio.io/inject": "true"})
                self._create_pod(self.name, _WITHOUT_SIDECAR, {})
            self._is_prepared = True

    def _create_namespace(self) -> None:
        core = CoreV1Api(self.api)
        own: Any = core.read_namespace(self.stack_namespace, _request_timeout=REQUEST_SECONDS)
        injection = {name: value for name, value in (own.metadata.labels or {}).items() if name in _INJECTION}
        labels = {**injection, **self._labels}
        body: Any = {"metadata": {"name": self.name, "labels": labels, "annotations": self._annotations}}
        with self._noted(_NAMESPACE):
            _create(lambda: core.create_namespace(body, _request_timeout=REQUEST_SECONDS))

    @contextmanager
    def _noted(self, kind: str) -> Iterator[None]:
        """Note what is created, as something that may be there, unless it is refused."""
        is_new = kind not in self._may_be_there
        self._may_be_there.add(kind)
        try:
            yield
        except ApiException as error:  # of any other error, nobody knows
            if is_new and error.status and error.status < HTTPStatus.INTERNAL_SERVER_ERROR:
                self._may_be_there.remove(kind)
            raise

    def _create_pod(self, namespace: str, name: str, labels: Mapping[str, str]) -> None:
        pod = self._pod(namespace, name, labels)
        core = CoreV1Api(self.api)
        _create(lambda: core.create_namespaced_pod(namespace, pod, _request_timeout=REQUEST_SECONDS))

    def _pod(self, namespace: str, name: str, labels: Mapping[str, str]) -> Any:
        container = {
            "name": "curl",
            "image": self.image,
            "imagePullPolicy": "IfNotPresent",
            "command": ["/bin/sleep", str(int(_LIFETIME.total_seconds()))],
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            },
            "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}},
        }
        spec = {
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "restartPolicy": "Never",
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
            **({"serviceAccountName": _ACCOUNT} if namespace == self.name else {}),
        }
        injected = {"sidecar.istio.io/inject": "false", **labels}
        metadata = {"name": name, "labels": {**self._labels, **injected}, "annotations": self._annotations}
        return {"metadata": metadata, "spec": spec}

    def _curl(self, namespace: str, pod: str, *arguments: str) -> Executed:
        self._wait_until_ready(namespace, pod)
        return pods.execute(self.api, namespace, pod, "curl", "curl", *arguments)

    def _wait_until_ready(self, namespace: str, name: str) -> None:
        end = time.monotonic() + _READY_SECONDS
        while True:
            self._check_not_removed()
            pod: Any = CoreV1Api(self.api).read_namespaced_pod(name, namespace, _request_timeout=REQUEST_SECONDS)
            if pods.is_ready(pod):
                break
            if time.monotonic() > end:
                raise Skipped(f"the attacker's Pod {namespace}/{name} does not start: {_waiting(pod)}")
            time.sleep(0.5)
        if name == _WITH_SIDECAR and not pods.has_sidecar(pod):
            raise Failed(f"the attacker's Pod {namespace}/{name} got no sidecar, though it asked for one")

    def _sweep(self) -> None:
        """Delete what a killed run left, and nothing of one that still runs."""
        core = CoreV1Api(self.api)
        old: Any = core.list_namespace(label_selector=self._selector, _request_timeout=REQUEST_SECONDS)
        for namespace in filter(_is_abandoned, old.items):
            self._delete_namespace(namespace.metadata.name)
        left: Any = core.list_namespaced_pod(
            self.stack_namespace, label_selector=self._selector, _request_timeout=REQUEST_SECONDS
        )
        for pod in filter(_is_abandoned, left.items):
            self._delete_pod(pod.metadata.name)

    def _delete_namespace(self, name: str) -> None:
        _found(lambda: CoreV1Api(self.api).delete_namespace(name, _request_timeout=REQUEST_SECONDS))

    def _delete_pod(self, name: str) -> None:
        _found(
            lambda: CoreV1Api(self.api).delete_namespaced_pod(
                name, self.stack_namespace, _request_timeout=REQUEST_SECONDS
            )
        )


def _create(ask: Callable[[], object]) -> None:
    """Create something, unless an attempt whose end nobody saw did so."""
    try:
        ask()
    except ApiException as error:
        if error.status != HTTPStatus.CONFLICT:
            raise


def _found(ask: Callable[[], object]) -> bool:
    """Tell whether what is asked for is there."""
    try:
        ask()
    except ApiException as error:
        if error.status == HTTPStatus.NOT_FOUND:
            return False
        raise
    return True


def _is_abandoned(item: Any) -> bool:
    """Tell whether the run that made this is over; one of another machine, once its Pods have ended."""
    host, _, process = (item.metadata.annotations or {}).get(RUN, "").rpartition("/")
    if host == socket.gethostname() and process.isdigit() and not _runs(int(process)):
        return True
    return bool(datetime.now(UTC) - item.metadata.creation_timestamp > _LIFETIME)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@contextmanager
def _refusal_is_skipped(where: str) -> Iterator[None]:
    try:
        yield
    except ApiException as error:
        if error.status not in _REFUSALS:
            raise
        raise Skipped(f"the {where} refuses what the attack needs: {pods.refusal_of(error)}") from None


def _waiting(pod: Any) -> str:
    statuses = [*(pod.status.init_container_statuses or []), *(pod.status.container_statuses or [])]
    reasons = [each.state.waiting.reason for each in statuses if each.state and each.state.waiting]
    return ", ".join(filter(None, reasons)) or pod.status.phase or "unknown"
