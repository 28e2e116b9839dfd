"""Confirms that the replicas of a gateway have the objects of a host before `pulumi up` ends.

Istio hands objects to its proxies some time after the API server has them, and Envoy may reject what it is given: it
keeps its old configuration then, and so admits whom it admitted before.
"""

import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pulumi

from clusters import gateways
from clusters.cluster import Cluster
from components.istio_gateway import IstioGateway
from components.ownership import owner_mark
from components.readiness import READY, Reader, Verdict, failing, silent, waiting
from proxies.causes import causes
from proxies.dump import Dump
from proxies.effect import domains, lacking
from proxies.forward import Forbidden, Unreadable
from proxies.replicas import Replicas
from proxies.sidecars import Sidecars
from settings import ConfigError

# Seconds. Istio pushes at the latest 10 s after a change (PILOT_DEBOUNCE_MAX), and each push ends an earlier rejection.
_REJECTION_PATIENCE = 12
_UNREADABLE_PATIENCE = 60
_SIDECAR_PATIENCE = 20
_SIDECARS = "the sidecars of callers and workloads"


class Confirmation:
    """Judges the objects of hosts by what each ready replica of a gateway has, and then some sidecars.

    Where the user may not ask them, or they do not answer, it warns once, and takes the objects for confirmed. A
    sidecar that stays behind is a warning: it may be one Pod's own trouble.

    cluster: has the gateway and the objects
    manifest: of rbac/, which grants the right
    """

    def __init__(self, cluster: Cluster, gateway: IstioGateway, manifest: str) -> None:
        self._cluster, self._gateway, self._manifest = cluster, gateway, manifest
        self._replicas, self._sidecars = Replicas.of_gateway(cluster, gateway), Sidecars(cluster, gateway)
        self._lock = threading.Lock()
        self._refused: set[str] = set()
        self._warned: set[str] = set()
        self._began: dict[object, float] = {}

    def judge(self, _: Reader, found: Mapping[str, Any]) -> Verdict:
        """Judge the objects of a host, a List of them."""
        objects: list[dict[str, Any]] = found["items"]
        asked = f"gateway {self._gateway.name}"
        if not domains(objects) or asked in self._refused:
            return READY  # the gateway serves none of them, or cannot be asked
        try:
            dumps = self._replicas.dumps()
        except Forbidden as refusal:
            return self._may_not(asked, self._gateway.namespace, refusal)
        except Unreadable as trouble:
            return self._unanswered(asked, trouble, _UNREADABLE_PATIENCE)
        self._began.pop(asked, None)  # not so of sidecars: those of one host are not those of another
        if not dumps:
            return self._without_replicas(asked)
        return next(self._complaints(objects, dumps), None) or self._of_sidecars(objects)

    def _of_sidecars(self, objects: list[dict[str, Any]]) -> Verdict:
        """Judge by the sidecars, once the gateway has the objects."""
        if _SIDECARS in self._refused:
            return READY
        try:
            lack = self._sidecars.lack(objects)
        except Forbidden as refusal:
            return self._may_not(_SIDECARS, "their namespaces", refusal)
        except (ConfigError, Unreadable) as trouble:
            return self._unanswered(_SIDECARS, trouble, _SIDECAR_PATIENCE)
        if not lack:
            return READY
        if self._since(frozenset(domains(objects))) < _SIDECAR_PATIENCE:
            return waiting(lack)
        return Verdict(ready=True, says=f"{lack}, after {_SIDECAR_PATIENCE} s; the gateways have it", warns=True)

    def _complaints(self, objects: list[dict[str, Any]], dumps: Mapping[str, Dump]) -> Iterator[Verdict]:
        for pod, dump in dumps.items():
            lack = next(lacking(objects, self._gateway, dump), None)
            if lack is None:
                continue
            for listener, rejection in dump.rejections(self._gateway.port):
                said = f"Envoy in Pod {pod} rejects listener {listener}: {rejection}{self._cause(objects)}"
                yield failing(" ".join(said.split()), _REJECTION_PATIENCE)
            yield silent(
                f"Pod {pod} of gateway {self._gateway.name} has {lack}; if that stays, `istioctl proxy-status` shows "
                "whether istiod reaches it"
            )

    def _cause(self, objects: list[dict[str, Any]]) -> str:
        owner = next((owner_mark(each["metadata"]) for each in objects if each["kind"] == "Gateway"), None)
        try:
            named = causes(self._cluster, self._gateway, domains(objects), owner)
        except ConfigError:
            return ""
        return f"; the likely cause: {', '.join(named)}, on the same listener; remove that" if named else ""

    def _without_replicas(self, asked: str) -> Verdict:
        try:
            wanted = gateways.replicas(self._cluster, self._gateway)
        except ConfigError:
            wanted = None
        if wanted != 0:
            return waiting(f"no Pod of {asked} is ready")
        self._warn(asked, f"runs no Pod of {asked}, whose Deployment has 0 replicas: no request passes it until it has")
        return READY

    def _may_not(self, asked: str, where: str, refusal: Forbidden) -> Verdict:
        self._refused.add(asked)
        problem = (
            f"does not let this user ask {asked} for the config ({refusal}), so that `pulumi up` cannot confirm that "
            f"the changes are in effect; grant list of pods, and get and create of pods/portforward, in {where}, as "
            f"{self._manifest} does"
        )
        self._warn(asked, problem)
        return READY

    def _unanswered(self, asked: str, trouble: Exception, patience: float) -> Verdict:
        said = " ".join(str(trouble).split())
        if self._since(asked) < patience:
            return waiting(f"{asked} could not be asked: {said}")
        problem = (
            f"gives no answer about {asked} ({said}), so that `pulumi up` cannot confirm that the changes are in "
            "effect; `python -m verification` tries them"
        )
        self._warn(asked, problem)
        return READY

    def _since(self, what: object) -> float:
        """Return the seconds since the first of these calls for the same."""
        now = time.monotonic()
        return now - self._began.setdefault(what, now)

    def _warn(self, asked: str, problem: str) -> None:
        with self._lock:
            if asked in self._warned:
                return
            self._warned.add(asked)
        pulumi.log.warn(str(self._cluster.problem(problem)))
