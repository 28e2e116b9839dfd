"""Ready Pods, such as the replicas of a gateway, and what the Envoy of each one has."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

from clusters.cluster import Cluster, Refused
from clusters.concurrency import parallel
from components.istio_gateway import IstioGateway
from proxies.dump import Dump
from proxies.forward import Admin, Forbidden, Unreadable, admin
from proxies.parts import Parts, gateway_parts

_Json = dict[str, Any]


class Silent(Unreadable):
    """A Pod that stays ready does not answer.

    answered: what the further ones have, by the names of their Pods
    """

    def __init__(self, message: str, answered: Mapping[str, Dump] | None = None) -> None:
        super().__init__(message)
        self.answered = answered or {}


class Replicas:
    """Ready Pods of a namespace.

    Questions that are asked at one time get one answer: each host of a stack asks for the same. Listeners, which grow
    with the square of a gateway's hosts, are read anew only once Envoy has changed them.

    query: of the list of Pods
    parts: of the dump
    choose: returns those of the Pods that are asked; all of them by default
    """

    def __init__(
        self,
        cluster: Cluster,
        namespace: str,
        query: Mapping[str, str],
        parts: Parts,
        choose: Callable[[list[_Json]], list[_Json]] = list,
    ) -> None:
        self._cluster, self._namespace, self._parts, self._choose = cluster, namespace, parts, choose
        self._path = f"/api/v1/namespaces/{namespace}/pods?{urlencode(query)}"
        self._lock = threading.Lock()
        self._began = 0.0
        self._dumps: Mapping[str, Dump] = {}
        self._listeners: dict[str, tuple[_Json, _Json]] = {}
        self._parsed = _Parsed()

    @classmethod
    def of_gateway(cls, cluster: Cluster, gateway: IstioGateway) -> "Replicas":
        """Return the replicas of a gateway."""
        selector = ",".join(f"{name}={value}" for name, value in gateway.selector.items())
        return cls(cluster, gateway.namespace, {"labelSelector": selector}, gateway_parts(gateway.port))

    def dumps(self) -> Mapping[str, Dump]:
        """Return what each ready replica has now, by the name of its Pod.

        Raise Forbidden if the user may not ask, Silent if a replica that stays ready does not answer.
        """
        asked = time.monotonic()
        with self._lock:
            if self._began < asked:
                began = time.monotonic()
                self._dumps = self._read()
                self._began = began
            return self._dumps

    def _read(self) -> dict[str, Dump]:
        ready = self._ready()
        self._listeners = {name: self._listeners[name] for name in ready if name in self._listeners}
        read = parallel(partial(self._dump, name) for name in ready)
        dumps = {name: dump for name, dump in read if isinstance(dump, Dump)}
        failed = {name: error for name, error in read if isinstance(error, Unreadable)}
        still_ready = self._ready() if failed else []
        for name in still_ready:
            if error := failed.get(name):
                said = f"Pod {name}: {error}"
                raise Forbidden(said) if isinstance(error, Forbidden) else Silent(said, dumps)
        return dumps

    def _ready(self) -> list[str]:
        pods = listed(self._cluster, self._path, "the Pods")
        return sorted(pod["metadata"]["name"] for pod in self._choose([pod for pod in pods if _is_ready(pod)]))

    def _dump(self, name: str) -> tuple[str, Dump | Unreadable]:
        try:
            with admin(self._cluster, self._namespace, name) as interface:
                return name, Dump.parse(dict(self._answers(name, interface)))
        except Unreadable as error:
            return name, error
        except Exception as error:  # whatever a proxy answers, it must not fail an update by a trace
            return name, Unreadable(f"{type(error).__name__}: {error}")

    def _answers(self, name: str, interface: Admin) -> Iterator[tuple[str, _Json]]:
        for part, path in self._parts.items():
            if part == "listeners":
                yield part, self._listeners_of(name, interface)
            elif part != "states":
                yield part, interface.read(path)

    def _listeners_of(self, name: str, interface: Admin) -> _Json:
        """Read the listeners, unless they are as they were when they were read last."""
        state = interface.read(self._parts["states"])
        known = self._listeners.get(name)
        if known is None or known[0] != state:
            known = self._listeners[name] = state, interface.read(self._parts["listeners"], self._parsed.once)
        return known[1]


class _Parsed:
    """The last JSON text: replicas have equal listeners, of which one copy is enough for all."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._digest, self._content = b"", None

    def once(self, text: bytes) -> Any:
        """Parse a text, unless it is the last one."""
        digest = sha256(text).digest()
        with self._lock:
            if digest != self._digest:
                self._content, self._digest = json.loads(text), digest
            return self._content


def listed(cluster: Cluster, path: str, called: str) -> list[_Json]:
    """Return the objects of the list at this path; raise Forbidden if the user may not list them.

    called: what the message calls them
    """
    try:
        return cluster.items(path)
    except Refused:
        raise Forbidden(f"the API server refuses to list {called}: 403") from None


def _is_ready(pod: Mapping[str, Any]) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or []
    is_ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    return is_ready and not pod["metadata"].get("deletionTimestamp")
