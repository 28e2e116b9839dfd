"""What the proxies of a stack's clusters have, each asked once for all checks of one time."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from clusters.cluster import Cluster
from components.istio_gateway import GatewayError, IstioGateway
from components.namespaced_name import NamespacedName
from proxies.dump import Dump
from proxies.forward import Forbidden, Unreadable
from proxies.parts import Parts, whole_parts
from proxies.replicas import Replicas, Silent
from settings import ConfigError
from verification.checks import Failed, Skipped, Unjudged

MANIFEST = "rbac/verification.yaml"

_STANDS_SECONDS = 5
_SHOWN = 3
_Pods = list[dict[str, Any]]


@dataclass(frozen=True)
class Answers:
    """What the proxies of some Pods have.

    dumps: by the name of the Pod
    ready: how many such Pods are ready
    namespace: of the Pods
    trouble: why a further Pod that is ready did not answer
    """

    dumps: Mapping[str, Dump]
    ready: int
    namespace: str
    trouble: ConfigError | None = None

    def judge(self, problems: Callable[[Dump], Iterator[str]], says: str) -> str:
        """Return what was seen, and how many Pods were asked; raise Failed with the problems of the dumps.

        Without any, raise the trouble of a further Pod, or Unjudged or Skipped if `problems` does for a dump.
        """
        found: dict[str, list[str]] = {}
        doubts: list[Skipped | Unjudged] = []
        for pod, dump in self.dumps.items():
            try:
                for problem in problems(dump):
                    found.setdefault(problem, []).append(pod)
            except (Skipped, Unjudged) as doubt:
                doubts.append(type(doubt)(f"{doubt} (Pod {self.namespace}/{pod})"))
        if not found:
            if self.trouble:
                raise self.trouble
            if doubts:
                raise next((each for each in doubts if isinstance(each, Unjudged)), doubts[0])
            return f"{says}: asked {len(self.dumps)} of {self.ready} Pods"
        said = [
            f"{problem} (Pod {self.namespace}/{pods[0]}{f' and {more} more' if more else ''})"
            for problem, pods in found.items()
            for more in [len(set(pods)) - 1]
        ]
        more = [f"and {len(said) - _SHOWN} more"] if len(said) > _SHOWN else []
        raise Failed("; ".join([*said[:_SHOWN], *more]))


@dataclass(frozen=True)
class Question:
    """Which proxies are asked, and for what.

    cluster: the path of the cluster in the config
    query: of the list of Pods
    choose: returns those of the Pods that are asked
    none: says what is missing if there is no such Pod; empty if that is no reason to skip
    """

    cluster: str
    namespace: str
    query: Mapping[str, str]
    parts: Parts
    choose: Callable[[_Pods], _Pods] = list
    none: str = ""

    @property
    def key(self) -> tuple[object, ...]:
        """The values by which two questions differ."""
        return (self.cluster, self.namespace, *sorted(self.query.items()), *sorted(self.parts.items()), self.choose)


class Dumps:
    """The dumps of a run: an answer, or an error, stands for five seconds, so that all checks of one time share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[tuple[object, ...], _Asked] = {}
        self._gateways: dict[tuple[str, NamespacedName], IstioGateway] = {}

    def ask(self, cluster: Cluster, question: Question) -> Answers:
        """Return what the proxies have; raise Skipped without the right or Pods, ConfigError for the cluster."""
        with self._lock:
            asked = self._known.setdefault(question.key, _Asked(cluster, question))
        return asked.answers()

    def gateway(self, cluster: Cluster, path: str, named: NamespacedName) -> IstioGateway:
        """Return the gateway behind a Service, by its Pods; raise ConfigError if there is none."""
        with self._lock:
            if (path, named) not in self._gateways:
                self._gateways[path, named] = _gateway(cluster, named)
            return self._gateways[path, named]

    def of_gateway(self, cluster: Cluster, path: str, named: NamespacedName) -> Answers:
        """Return what each ready replica of a gateway has."""
        gateway = self.gateway(cluster, path, named)
        selector = ",".join(f"{name}={value}" for name, value in gateway.selector.items())
        answers = self.ask(cluster, Question(path, gateway.namespace, {"labelSelector": selector}, whole_parts()))
        if not answers.dumps and not answers.trouble:
            raise cluster.problem(f"has no ready Pod of gateway {gateway.name}")
        return answers


def _gateway(cluster: Cluster, named: NamespacedName) -> IstioGateway:
    service = cluster.service(named)
    if not service:
        raise cluster.problem(f"has no Service {named}")
    pods = cluster.items(f"/api/v1/namespaces/{named.namespace}/pods", service["spec"].get("selector") or {"-": ""})
    try:
        return IstioGateway.read(service, pods)
    except GatewayError as lack:
        raise cluster.problem(str(lack)) from None


@dataclass
class _Asked:
    cluster: Cluster
    question: Question
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _until: float = 0
    _answer: Answers | Exception | None = None
    _ready: int = 0
    _replicas: Replicas | None = None

    def answers(self) -> Answers:
        with self._lock:
            if self._answer is None or time.monotonic() > self._until:
                self._answer = self._now()
                self._until = time.monotonic() + _STANDS_SECONDS
            if isinstance(self._answer, Exception):
                raise self._answer
            return self._answer

    def _now(self) -> Answers | Exception:
        question = self.question
        if self._replicas is None:
            self._replicas = Replicas(self.cluster, question.namespace, question.query, question.parts, self._choose)
        where = f"in namespace {question.namespace}"
        try:
            dumps = self._replicas.dumps()
        except Forbidden as refusal:
            right = f"list of pods, and get and create of pods/portforward, {where}"
            return Skipped(f"the user may not ask the proxies {where}: {refusal}; grant {right}, as {MANIFEST} does")
        except Unreadable as error:
            said = " ".join(str(error).split())
            trouble = self.cluster.problem(f"has a proxy {where} that does not answer: {said}")
            dumps = error.answered if isinstance(error, Silent) else {}
            return Answers(dumps, self._ready, question.namespace, trouble)
        except ConfigError as error:
            return error
        if not dumps and question.none:
            return Skipped(question.none)
        return Answers(dumps, self._ready, question.namespace)

    def _choose(self, pods: _Pods) -> _Pods:
        self._ready = len(pods)
        return self.question.choose(pods)
