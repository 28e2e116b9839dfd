"""Asks the sidecars that decide over requests for hosts of a stack what they lack: those of the declared callers, whose
routes lead to the egress gateway, and on platform kyma those of the hosts' workloads, for which Kyma makes policies.

Of many Pods, some are asked. On platform istio, no object of a host reaches the sidecars of its workload.
"""

import itertools
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from clusters import pods
from clusters.cluster import Cluster
from clusters.concurrency import parallel
from clusters.routes import MESH, Route
from components.istio_gateway import IstioGateway
from components.namespaced_name import NamespacedName
from proxies.dump import Dump
from proxies.effect import upstreams
from proxies.forward import Unreadable
from proxies.parts import Parts, caller_parts, workload_parts
from proxies.policies import rules_for
from proxies.replicas import Replicas, listed

_OF_EACH_WORKLOAD, _IN_ALL = 2, 16
_LISTED = 200
_RUNNING = "status.phase=Running"  # hundreds of Pods of a CronJob may have ended
_HTTP = 80
_POLICIES = "/apis/security.istio.io/v1/namespaces/{}/authorizationpolicies"
_Object = Mapping[str, Any]


@dataclass(frozen=True)
class _Question:
    """What some Pods are asked.

    query: of the list of Pods, as pairs
    parts: of their dumps, as pairs
    lacking: yields what a dump lacks
    """

    namespace: str
    query: tuple[tuple[str, str], ...]
    parts: tuple[tuple[str, str], ...]
    lacking: Callable[[Dump], Iterator[str]]


class Sidecars:
    """The sidecars of one cluster that decide over requests for a stack's hosts."""

    def __init__(self, cluster: Cluster, gateway: IstioGateway) -> None:
        self._cluster, self._gateway = cluster, gateway
        self._lock = threading.Lock()
        self._known: dict[tuple[Any, ...], Replicas] = {}

    def lack(self, objects: Iterable[_Object]) -> str:
        """Return what a sidecar lacks of the objects of a host, `Pod …`; empty if none lacks anything.

        Raise Forbidden if the user may not ask, Unreadable if a Pod does not answer, ConfigError for the cluster.
        """
        found = list(objects)
        questions = [*self._of_callers(found), *self._of_workloads(found)]
        answers = parallel(partial(self._ask, each) for each in questions)
        return next(filter(None, answers), "")

    def _ask(self, question: _Question) -> str:
        key = (question.namespace, question.query, question.parts)
        with self._lock:
            if key not in self._known:
                query, parts = dict(question.query), dict(question.parts)
                self._known[key] = Replicas(self._cluster, question.namespace, query, parts, sample)
            replicas = self._known[key]
        try:
            dumps = replicas.dumps()
        except Unreadable as error:
            raise type(error)(f"namespace {question.namespace}: {error}") from None
        for pod, dump in dumps.items():
            for lack in question.lacking(dump):
                return f"Pod {question.namespace}/{pod} has {lack}"
        return ""

    def _of_callers(self, objects: list[_Object]) -> Iterator[_Question]:
        routes = [each for each in objects if each["kind"] == "VirtualService" and MESH in _gateways(each)]
        # Each host has an entry, HOST.NAMESPACE.kyma-mtls.internal: of all of a stack's, a Pod is asked once.
        entries = {to.rpartition("|")[2] for each in routes for to in _led_to(each)}
        if not entries:
            return
        parts = caller_parts(_HTTP, {entry.partition(".")[2] for entry in entries})

        def lacking(dump: Dump) -> Iterator[str]:
            for each in routes:
                yield from _routes(each, dump)

        for namespace, account in sorted(set(self._callers(objects))):
            fields = [f"spec.serviceAccountName={account}", _RUNNING] if account else [_RUNNING]
            yield _question(namespace, {"fieldSelector": ",".join(fields)}, parts, lacking)

    def _callers(self, objects: list[_Object]) -> Iterator[tuple[str, str]]:
        """Yield namespace and service account, empty for all, of each caller whom the gateway's policies admit."""
        for each in objects:
            if each["kind"] == "AuthorizationPolicy" and each["metadata"]["namespace"] == self._gateway.namespace:
                for identity in itertools.chain.from_iterable(rules_for(each["spec"]).values()):
                    match identity.split("/"):
                        case ["*", "ns", namespace, "sa", account]:
                            yield namespace, account
                        case ["*", "ns", namespace, "*"]:
                            yield namespace, ""

    def _of_workloads(self, objects: list[_Object]) -> Iterator[_Question]:
        rules = [each for each in objects if each["kind"] == "APIRule"]
        for policy in itertools.chain.from_iterable(map(self._kymas_policies, rules)):
            labels = (policy.spec.get("selector") or {}).get("matchLabels") or {}
            selector = ",".join(f"{name}={value}" for name, value in labels.items())
            query = {"labelSelector": selector, "fieldSelector": _RUNNING}
            yield _question(policy.place.namespace, query, workload_parts(), _policy(policy))

    def _kymas_policies(self, rule: _Object) -> Iterator[Route]:
        """Yield the policies that Kyma makes for an APIRule in the namespace of its Service.

        Their rules are not compared: Envoy has templates for the paths. Another rule makes a policy of another name.
        """
        service = rule["spec"].get("service") or {}
        place = NamespacedName(rule["metadata"]["namespace"], rule["metadata"]["name"])
        namespace = service.get("namespace", place.namespace)
        for each in listed(self._cluster, _POLICIES.format(namespace), f"AuthorizationPolicies in {namespace}"):
            policy = Route("AuthorizationPolicy", each["metadata"], each["spec"])
            if policy.api_rule == place:
                yield policy


def _question(
    namespace: str, query: Mapping[str, str], parts: Parts, lacking: Callable[[Dump], Iterator[str]]
) -> _Question:
    return _Question(namespace, (*query.items(), ("limit", str(_LISTED))), tuple(parts.items()), lacking)


def _gateways(item: _Object) -> frozenset[str]:
    return Route("VirtualService", item["metadata"], item["spec"]).gateways


def _led_to(item: _Object) -> set[str]:
    return {name for rule in item["spec"].get("http") or [] for name in upstreams(rule)}


def _routes(item: _Object, dump: Dump) -> Iterator[str]:
    place, wanted = item["metadata"], _led_to(item)
    made_by = f"/namespaces/{place['namespace']}/virtual-service/{place['name']}"
    for domain in item["spec"]["hosts"]:
        targets = [target for table in dump.routes.values() for target in table.get(domain, ())]
        reached = {name for target in targets if target.made_by.endswith(made_by) for name in target.upstreams}
        if not wanted <= reached & dump.upstreams.keys():
            yield f"no route for {domain} to the egress gateway yet"


def _policy(policy: Route) -> Callable[[Dump], Iterator[str]]:
    def lacking(dump: Dump) -> Iterator[str]:
        for chain in (chain for listener in dump.listeners for chain in listener.chains if chain.decodes_http):
            if chain.rules(str(policy.place)) is None:
                yield f"no {policy} yet"

    return lacking


def sample(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return those of many Pods that are asked: two of each workload, and sixteen in all; none without a sidecar."""
    ranked: list[tuple[int, str, dict[str, Any]]] = []
    seen: dict[str, int] = {}
    for pod in sorted(filter(_has_sidecar, found), key=pods.name):
        workload = _workload(pod["metadata"])
        seen[workload] = seen.get(workload, 0) + 1
        ranked.append((seen[workload], workload, pod))
    chosen = sorted((each for each in ranked if each[0] <= _OF_EACH_WORKLOAD), key=lambda each: each[:2])
    return [pod for _, _, pod in chosen[:_IN_ALL]]


def _has_sidecar(pod: _Object) -> bool:
    """Return whether a Pod has a sidecar beside something: the proxy of an injected gateway is its only container."""
    return pods.has_sidecar(pod) and len(pods.containers(pod)) > 1


def _workload(metadata: _Object) -> str:
    owners = [each["name"] for each in metadata.get("ownerReferences") or [] if each.get("controller")]
    return str(owners[0] if owners else metadata["name"])
