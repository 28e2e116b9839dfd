"""Plays the controllers of Kyma's modules, after their sources: API Gateway 3.10 and Istio 1.30.

The API Gateway module is a Go module that no proxy serves whole, and the Istio module would bring an Istio of its own.
What the program can see of them is here: what they make and delete and in which order, what they refuse and in which
words, finalizers, states, and that all of it takes a second or two. What it cannot see is left out: Oathkeeper, rate
limits, JWT, hosts without a domain.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from kubernetes import client
from urllib3.exceptions import HTTPError

from tests.e2e.support.api_gateway_controller import ApiGatewayController
from tests.e2e.support.api_rule_controller import ApiRuleController
from tests.e2e.support.kyma_api import API_GATEWAYS, API_RULES, ISTIOS, Api, Object, path_of
from tests.e2e.support.waiting import meanwhile

_TRIED_AGAIN = {
    HTTPStatus.NOT_FOUND,
    HTTPStatus.CONFLICT,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
}


@dataclass
class KymaControllers:
    """The controllers of one cluster; each reconciles what changed, or what it could not finish.

    lag: seconds that a change goes unnoticed
    """

    api: Api
    lag: float = field(default=0, init=False)
    _finished: dict[str, int] = field(default_factory=dict)
    _noticed: dict[tuple[str, int], float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._gateways, self._rules = ApiGatewayController(self.api), ApiRuleController(self.api)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Reconcile beside what is done in the context."""
        self._reconcile_if_answered()
        with meanwhile(self._reconcile_if_answered):
            yield

    @contextmanager
    def lagging(self, seconds: float) -> Iterator[None]:
        """Notice changes so much later in the context."""
        self.lag = seconds
        try:
            yield
        finally:
            self.lag = 0

    def _reconcile_if_answered(self) -> None:
        """Reconcile once; an API server that does not answer is asked again in the next round."""
        with suppress(OSError, HTTPError):
            self.reconcile()

    def reconcile(self) -> None:
        """Reconcile everything once, in the order of its changes."""
        for item in self.api.items(API_GATEWAYS):
            self._turn(f"{API_GATEWAYS}/{item['metadata']['name']}", item, self._gateways.reconcile)
        for item in self.api.items(f"{API_RULES}/apirules"):
            self._turn(path_of(API_RULES, "apirules", item), item, self._rules.reconcile)
        for item in self.api.items(f"{ISTIOS}/istios"):
            self._turn(path_of(ISTIOS, "istios", item), item, self._istio)

    def _turn(self, path: str, item: Object, reconcile: Any) -> None:
        """Reconcile what is due; try a lost race with another writer, or a server's error, again in the next round."""
        key, generation = f"{path} {item['metadata']['uid']}", item["metadata"]["generation"]
        if self._finished.get(key) == generation:
            return
        if time.monotonic() < self._noticed.setdefault((key, generation), time.monotonic()) + self.lag:
            return
        try:
            if reconcile(path, item):
                self._finished[key] = generation
        except client.ApiException as error:
            if error.status not in _TRIED_AGAIN:
                raise

    def _istio(self, path: str, _: Object) -> bool:
        """Report Ready: the lab has both gateways, independent of the CR."""
        self.api.report_latest(path, "Ready", "Reconciliation succeeded")
        return True
