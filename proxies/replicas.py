"""The replicas of a gateway, and what the Envoy of each one has."""

import threading
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

from clusters.cluster import Cluster
from clusters.concurrency import parallel
from components.istio_gateway import IstioGateway
from proxies.dump import PARTS, Dump
from proxies.forward import Forbidden, Unreadable, admin
from settings import ConfigError


class Replicas:
    """The ready Pods of a gateway.

    Questions that are asked at one time get one answer: each host of a stack asks for the same.
    """

    def __init__(self, cluster: Cluster, gateway: IstioGateway) -> None:
        self._cluster, self._gateway = cluster, gateway
        self._lock = threading.Lock()
        self._began = 0.0
        self._dumps: Mapping[str, Dump] = {}

    def dumps(self) -> Mapping[str, Dump]:
        """Return what each ready replica has now, by the name of its Pod.

        Raise Forbidden if the user may not ask, Unreadable if a replica that stays ready does not answer.
        """
        asked = time.monotonic()
        with self._lock:
            if self._began < asked:
                began = time.monotonic()
                self._dumps = self._read()
                self._began = began
            return self._dumps

    def _read(self) -> dict[str, Dump]:
        read = parallel(partial(self._dump, name) for name in self._ready())
        dumps = {name: dump for name, dump in read if isinstance(dump, Dump)}
        failed = {name: error for name, error in read if isinstance(error, Unreadable)}
        still_ready = self._ready() if failed else []
        for name in still_ready:
            if error := failed.get(name):
                raise type(error)(f"Pod {name}: {error}")
        return dumps

    def _ready(self) -> list[str]:
        path = f"/api/v1/namespaces/{self._gateway.namespace}/pods"
        try:
            pods = self._cluster.items(path, self._gateway.selector)
        except ConfigError as error:
            if " 403 " in str(error):
                raise Forbidden("the API server refuses to list the Pods: 403") from None
            raise
        return sorted(pod["metadata"]["name"] for pod in pods if _is_ready(pod))

    def _dump(self, name: str) -> tuple[str, Dump | Unreadable]:
        try:
            with admin(self._cluster, self._gateway.namespace, name) as interface:
                return name, Dump.parse({part: interface.read(path) for part, path in PARTS.items()})
        except Unreadable as error:
            return name, error


def _is_ready(pod: Mapping[str, Any]) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or []
    is_ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    return is_ready and not pod["metadata"].get("deletionTimestamp")
