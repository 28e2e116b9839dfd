"""An attacker in a cluster: Pods from which curl runs, and objects of Istio's networking that exist for a while."""

import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from typing import Any

from kubernetes.client import ApiClient, ApiException, BatchV1Api, CoreV1Api, CustomObjectsApi

from clusters.kyma_istio import ALLOWED, TO_EGRESS_GATEWAY
from verification import pods
from verification.checks import Skipped, Unjudged
from verification.manifests import ACCOUNT, GROUP, LIFETIME, ROUTE_LIFETIME, Manifests
from verification.pods import REQUEST_SECONDS, Executed
from verification.sweeping import left_by_killed_runs
from verification.temporary import Made, Temporary, create

_WITH_SIDECAR, _WITHOUT_SIDECAR = "with-sidecar", "without-sidecar"
_READY_SECONDS = 60
UNDECLARED = "-undeclared"
"""The end of the name of the Pod with an undeclared service account."""
_MARGIN = timedelta(minutes=5)
# Goes on while the machine sleeps, as the clusters' clocks do; macOS has none.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
# The API server refuses by these: for want of rights, or by a webhook.
_REFUSALS = (HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN, HTTPStatus.UNPROCESSABLE_ENTITY)
_PLURALS = {
    "DestinationRule": "destinationrules",
    "Gateway": "gateways",
    "ServiceEntry": "serviceentries",
    "VirtualService": "virtualservices",
}


@dataclass
class Attacker:
    """Runs curl and deploys objects in one cluster; creates nothing before, and `remove` deletes everything.

    where: the cluster's name in messages
    stack_namespace: the stack's own namespace in this cluster
    mark: the stack's, the value of a label on everything that is created
    run: the id of the run, the value of another label
    image: of the Pods; it has curl and sleep
    name: of the temporary namespace, and the beginning of the names of the Pods in the stack's namespace
    """

    where: str
    api: ApiClient
    stack_namespace: str
    mark: str
    run: str
    image: str
    name: str = field(default_factory=lambda: f"kyma-mtls-verification-{secrets.token_hex(8)}")
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _is_prepared: bool = False
    _is_removed: bool = False
    _stack_pods: set[str] = field(default_factory=set, repr=False)
    _patience: dict[str, float] = field(default_factory=dict, repr=False)
    _began: float | None = None
    _temporary: Temporary = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._temporary = Temporary(self.where, self.api, self.run)

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
        return self._curl_beside_the_stack(self._manifests.pod(self.name), *arguments)

    def curl_of_undeclared_account(self, *arguments: str) -> Executed:
        """Run curl in a Pod with a sidecar, in the stack's own namespace, as that namespace's default account."""
        pod = self._manifests.pod(f"{self.name}{UNDECLARED}", with_sidecar=True)
        pod["metadata"]["labels"][TO_EGRESS_GATEWAY] = ALLOWED  # the network alone must not refuse it
        return self._curl_beside_the_stack(pod, *arguments)

    @contextmanager
    def deployed(self, *objects: Mapping[str, Any]) -> Iterator[None]:
        """Create objects of Istio's networking in the temporary namespace; delete them at the end of the context.

        If this process is killed, the cluster deletes them after `ROUTE_LIFETIME`.

        objects: each with `kind`, `name` and `spec`
        """
        self._prepare()
        custom, began = CustomObjectsApi(self.api), _now()
        paths: list[tuple[str, str, str, str, str]] = []
        expiry = self._create_expiry(f"expiry-{secrets.token_hex(4)}")
        try:
            for each in objects:
                kind, name = each["kind"], each["name"]
                path = (GROUP, "v1", self.name, _PLURALS[kind])
                body = self._manifests.istio_object(kind, name, each["spec"], expiry)
                paths.append((*path, name))
                with self._creating():
                    custom.create_namespaced_custom_object(*path, body, _request_timeout=REQUEST_SECONDS)
            yield
            if _now() - began > ROUTE_LIFETIME.total_seconds():
                raise Unjudged("the attack took longer than its objects exist: its answers prove nothing")
        finally:
            for deleted in reversed(paths):
                with suppress(Exception):  # an object that stays ends with its Job or the namespace
                    custom.delete_namespaced_custom_object(*deleted, _request_timeout=REQUEST_SECONDS)
            with suppress(Exception):
                BatchV1Api(self.api).delete_namespaced_job(
                    expiry.metadata.name,
                    self.name,
                    propagation_policy="Background",
                    _request_timeout=REQUEST_SECONDS,
                )

    def seek(self) -> list[Made]:
        """Find what killed runs of the stack left; from now on, `left` names it, and `remove` deletes it."""
        found = left_by_killed_runs(self.api, self._manifests.selector)
        self._temporary.note(found)
        return found

    def sweep(self) -> None:
        """Find what killed runs of the stack left, and request its deletion."""
        self._temporary.delete(self.seek())

    def remove(self) -> list[str]:
        """Delete everything and wait until it is gone; return the commands that delete the rest."""
        with self._lock:
            self._is_removed = True
        return self._temporary.remove()

    @property
    def left(self) -> list[str]:
        """The commands that delete what is left, or may be left."""
        return self._temporary.left

    @property
    def _manifests(self) -> Manifests:
        return Manifests(self.mark, self.run, self.image)

    def _check_usable(self) -> None:
        """Raise unless this run may use its objects: not at its end, nor when others may take it for a killed one."""
        if self._is_removed:
            raise Unjudged("the verification has ended")
        if self._began is not None and _now() - self._began > (LIFETIME - _MARGIN).total_seconds():
            raise Unjudged(f"the verification has run for an hour, and its Pods in the {self.where} end")

    @contextmanager
    def _creating(self) -> Iterator[None]:
        """Create an object in this context, unless the run has ended; a refusal skips the check."""
        with self._lock:
            self._check_usable()
            with _refusal_is_skipped(self.where):
                yield

    def _create_expiry(self, name: str) -> Any:
        """Create and return the Job with which the cluster deletes the objects of one attack."""
        with self._creating():
            return BatchV1Api(self.api).create_namespaced_job(
                self.name, self._manifests.expiry(name), _request_timeout=REQUEST_SECONDS
            )

    def _prepare(self) -> None:
        """Create the temporary namespace with its account and Pods, once."""
        with self._lock:
            self._check_usable()
            if self._is_prepared:
                return
            core, manifests = CoreV1Api(self.api), self._manifests
            self._began = _now() if self._began is None else self._began
            with _refusal_is_skipped(self.where):
                own: Any = core.read_namespace(self.stack_namespace, _request_timeout=REQUEST_SECONDS)
                self._temporary.create_namespace(manifests.namespace(self.name, own.metadata.labels or {}))
                account = manifests.service_account()
                create(
                    lambda: core.create_namespaced_service_account(self.name, account, _request_timeout=REQUEST_SECONDS)
                )
                self._temporary.create_pod(self.name, manifests.pod(_WITH_SIDECAR, ACCOUNT, with_sidecar=True))
                self._temporary.create_pod(self.name, manifests.pod(_WITHOUT_SIDECAR, ACCOUNT))
            self._is_prepared = True

    def _curl_beside_the_stack(self, pod: Any, *arguments: str) -> Executed:
        self._prepare()
        name = pod["metadata"]["name"]
        with self._lock:
            self._check_usable()
            if name not in self._stack_pods:
                with _refusal_is_skipped(self.where):
                    self._temporary.create_stack_pod(self.stack_namespace, pod)
                self._stack_pods.add(name)
        return self._curl(self.stack_namespace, name, *arguments)

    def _curl(self, namespace: str, pod: str, *arguments: str) -> Executed:
        self._wait_until_ready(namespace, pod)
        return pods.execute(self.api, namespace, pod, "curl", "curl", *arguments)

    def _wait_until_ready(self, namespace: str, name: str) -> None:
        # Once it is over, each further attempt only looks whether the Pod has started meanwhile.
        end = self._patience.setdefault(f"{namespace}/{name}", time.monotonic() + _READY_SECONDS)
        while True:
            self._check_usable()
            pod: Any = CoreV1Api(self.api).read_namespaced_pod(name, namespace, _request_timeout=REQUEST_SECONDS)
            if pods.is_ready(pod):
                break
            if time.monotonic() > end:
                raise Unjudged(f"the attacker's Pod {namespace}/{name} does not start: {pods.waiting_for(pod)}")
            time.sleep(0.5)
        if name.endswith((_WITH_SIDECAR, UNDECLARED)) and not pods.has_sidecar(pod):
            raise Unjudged(f"the attacker's Pod {namespace}/{name} has no sidecar, though its label requests one")


def _now() -> float:
    return time.clock_gettime(_CLOCK)


@contextmanager
def _refusal_is_skipped(where: str) -> Iterator[None]:
    try:
        yield
    except ApiException as error:
        if error.status not in _REFUSALS:
            raise
        raise Skipped(f"the {where} refuses an object that the attack needs: {pods.refusal_of(error)}") from None
