"""Confirms that the replicas of a gateway have the objects of a host before `pulumi up` ends.

Istio hands objects to its proxies some time after the API server has them, and Envoy may reject what it is given: it
keeps its old configuration then, and so admits whom it admitted before.
"""

import threading
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
from settings import ConfigError

# Seconds. Istio pushes at the latest 10 s after a change (PILOT_DEBOUNCE_MAX), and each push ends an earlier rejection.
_REJECTION_PATIENCE = 12
_UNREADABLE_PATIENCE = 60


class Confirmation:
    """Judges the objects of hosts by what each ready replica of a gateway has.

    Where the user may not ask the replicas, it warns once, and takes the objects for confirmed.

    cluster: has the gateway and the objects
    manifest: of rbac/, which grants the right
    """

    def __init__(self, cluster: Cluster, gateway: IstioGateway, manifest: str) -> None:
        self._cluster, self._gateway, self._manifest = cluster, gateway, manifest
        self._replicas = Replicas(cluster, gateway)
        self._lock = threading.Lock()
        self._has_warned = False

    def judge(self, _: Reader, found: Mapping[str, Any]) -> Verdict:
        """Judge the objects of a host, a List of them."""
        objects: list[dict[str, Any]] = found["items"]
        if not domains(objects):
            return READY  # the gateway serves none of them
        try:
            dumps = self._replicas.dumps()
        except Forbidden as refusal:
            self._warn(str(refusal))
            return READY
        except Unreadable as trouble:
            said = f"could not confirm that gateway {self._gateway.name} has it: {trouble}"
            return Verdict(ready=True, says=said, patience=_UNREADABLE_PATIENCE, warns=True)
        if not dumps:
            return waiting(f"no Pod of gateway {self._gateway.name} is ready")
        return next(self._complaints(objects, dumps), READY)

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

    def _warn(self, refusal: str) -> None:
        with self._lock:
            if self._has_warned:
                return
            self._has_warned = True
        problem = self._cluster.problem(
            f"does not let this user ask gateway {self._gateway.name} what it has ({refusal}), so that `pulumi up` "
            f"cannot confirm that the changes are in effect; grant get and create of pods/portforward in "
            f"{self._gateway.namespace}, as {self._manifest} does"
        )
        pulumi.log.warn(str(problem))
