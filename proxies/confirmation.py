"""Confirms that the replicas of a gateway have the objects of a host before `pulumi up` ends.

Istio hands objects to its proxies some time after the API server has them, and Envoy may reject what it is given: it
keeps its old configuration then, and so admits whom it admitted before.
"""

import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pulumi

from clusters.cluster import Cluster
from components.istio_gateway import IstioGateway
from components.ownership import owner_mark
from components.readiness import READY, Reader, Verdict, failing, waiting
from proxies.dump import Dump
from proxies.effect import domains, lacking
from proxies.forward import Forbidden, Unreadable
from proxies.replicas import Replicas
from proxies.rivals import rivals
from proxies.sidecars import Sidecars
from settings import ConfigError

# Seconds. Istio pushes at the latest 10 s after a change (PILOT_DEBOUNCE_MAX), and each push ends an earlier rejection.
_REJECTION_PATIENCE = 12
_UNREADABLE_PATIENCE = 60
_SIDECAR_PATIENCE = 20
_SIDECARS = "the sidecars of callers and workloads"


class Confirmation:
    """Judges the objects of hosts by what each ready replica of a gateway has, and then some sidecars.

    Where the user may not ask them, it warns once, and takes the objects for confirmed. A sidecar that stays behind is
    a warning: it may be one Pod's own trouble.

    cluster: has the gateway and the objects
    manifest: of rbac/, which grants the right
    """

    def __init__(self, cluster: Cluster, gateway: IstioGateway, manifest: str) -> None:
        self._cluster, self._gateway, self._manifest = cluster, gateway, manifest
        self._replicas, self._sidecars = Replicas.of_gateway(cluster, gateway), Sidecars(cluster, gateway)
        self._lock = threading.Lock()
        self._warned: set[str] = set()
        self._behind: dict[frozenset[str], float] = {}

    def judge(self, _: Reader, found: Mapping[str, Any]) -> Verdict:
        """Judge the objects of a host, a List of them."""
        objects: list[dict[str, Any]] = found["items"]
        asked = f"gateway {self._gateway.name}"
        if not domains(objects) or asked in self._warned:
            return READY  # the gateway serves none of them, or cannot be asked
        try:
            dumps = self._replicas.dumps()
        except Forbidden as refusal:
            self._warn(asked, self._gateway.namespace, refusal)
            return READY
        except Unreadable as trouble:
            said = f"could not confirm that {asked} has it: {trouble}"
            return Verdict(ready=True, says=said, patience=_UNREADABLE_PATIENCE, warns=True)
        if not dumps:
            return waiting(f"no Pod of {asked} is ready")
        return next(self._complaints(objects, dumps), None) or self._of_sidecars(objects)

    def _of_sidecars(self, objects: list[dict[str, Any]]) -> Verdict:
        """Judge by the sidecars, once the gateway has the objects."""
        if _SIDECARS in self._warned:
            return READY
        began = self._behind.setdefault(frozenset(domains(objects)), time.monotonic())
        try:
            lack = self._sidecars.lack(objects)
        except Forbidden as refusal:
            self._warn(_SIDECARS, "their namespaces", refusal)
            return READY
        except Unreadable as trouble:
            lack = f"could not be asked: {trouble}"
        if not lack:
            return READY
        if time.monotonic() - began < _SIDECAR_PATIENCE:
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
            yield waiting(f"Pod {pod} of gateway {self._gateway.name} has {lack}")

    def _cause(self, objects: list[dict[str, Any]]) -> str:
        owner = next((owner_mark(each["metadata"]) for each in objects if each["kind"] == "Gateway"), None)
        try:
            named = rivals(self._cluster, self._gateway, domains(objects), owner)
        except ConfigError:
            return ""
        return f"; the likely cause: {', '.join(named)}, on the same listener; remove that" if named else ""

    def _warn(self, asked: str, where: str, refusal: Forbidden) -> None:
        with self._lock:
            if asked in self._warned:
                return
            self._warned.add(asked)
        problem = self._cluster.problem(
            f"does not let this user ask {asked} for the config ({refusal}), so that `pulumi up` "
            f"cannot confirm that the changes are in effect; grant get and create of pods/portforward in "
            f"{where}, as {self._manifest} does"
        )
        pulumi.log.warn(str(problem))
