"""The workload behind a host, reached past the gateway by other Pods of the target cluster."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from kubernetes.client import CoreV1Api

from components.demo import HTTPBIN
from components.namespaced_name import NamespacedName
from settings import Platform
from verification import pods
from verification.answers import Answer
from verification.checks import CREATES, Check, Failed, Skipped, skipped
from verification.clients import CURL_NOT_CONNECTED
from verification.hosts import group_of
from verification.pods import REQUEST_SECONDS, Executed
from verification.probes import NO_SAFE_METHOD, Probe, probe
from verification.stack import DeployedStack

QUICKLY = ("-sS", "--connect-timeout", "5", "--max-time", "10")

_PROMISE = "its workload answers nobody past the gateway"
_LOOK = "target cluster: kubectl get authorizationpolicies,peerauthentications -A"
_NOT_ANSWERED = CURL_NOT_CONNECTED | {52, 56}  # nothing received, reset while receiving


def checks(stack: DeployedStack, host: str) -> Iterator[Check]:
    """Yield the checks of one host."""
    group, served = group_of(stack, host), stack.settings.hosts[host]
    asked = probe(served)
    if not served.demo and stack.settings.platform == Platform.ISTIO:
        reason = "it is your Service, to whose namespace the stack adds no policy"
        yield skipped(group, _PROMISE, reason, host)
    elif stack.read_only or not asked:
        yield skipped(group, _PROMISE, CREATES if stack.read_only else NO_SAFE_METHOD, host)
    else:
        run = partial(workload_is_closed, stack, host, asked)
        expected = "403 of the workload's own policy, or no connection, for Pods with and without a sidecar"
        yield Check(group, _PROMISE, expected, run, _LOOK, host)


def workload_is_closed(stack: DeployedStack, host: str, asked: Probe) -> str:
    """By the Service and by the Pods' addresses, with the right Host and the header that the gateway would add."""
    attacker, domain = stack.attackers["target"], stack.outputs.hosts[host].domain
    identity = next(iter(stack.settings.admitted(host)), "")
    uri = stack.outputs.clients[identity].identity if identity else "spiffe://verification.invalid/a"
    as_gateway = ("-H", f"Host: {domain}", "-H", f'X-Forwarded-Client-Cert: Hash=0;Subject="";URI={uri}')
    seen: dict[str, None] = {}
    for place in _addresses(stack, host):
        url = f"http://{place}{asked.path}"
        for who, curl in (
            ("a Pod with a sidecar", attacker.curl_with_sidecar),
            ("a Pod without a sidecar", attacker.curl_without_sidecar),
        ):
            for disguise in ((), as_gateway):
                said = _judge(curl(*QUICKLY, *asked.options, *disguise, url), f"{who} at {place}")
                seen[said] = None
    if "403" not in seen:
        raise Skipped(f"no answer of a policy: something else in the cluster is in the way ({', '.join(seen)})")
    return ", ".join(seen)


def _judge(done: Executed, where: str) -> str:
    if done.code in _NOT_ANSWERED:
        return "no connection"
    if done.code:
        raise Failed(f"{where}: curl ended with {done.code}: {done.stderr.strip()}")
    answer = Answer.printed(done.stdout)
    if answer.denied:
        return "403"
    if answer.without_upstream:
        return "no connection"
    raise Failed(f"{where}: got {answer.said}")


def _addresses(stack: DeployedStack, host: str) -> list[str]:
    """Return where a host's workload listens: its Service, and its Pods."""
    attacker, served = stack.attackers["target"], stack.settings.hosts[host].service
    place = (
        NamespacedName(served.namespace, served.name) if served else NamespacedName(attacker.stack_namespace, HTTPBIN)
    )
    service: Any = CoreV1Api(attacker.api).read_namespaced_service(
        place.name, place.namespace, _request_timeout=REQUEST_SECONDS
    )
    ports = [port for port in service.spec.ports if not served or port.port == served.port]
    by_name = [f"{place.name}.{place.namespace}.svc:{port.port}" for port in ports]
    targets = [port.target_port for port in ports if isinstance(port.target_port, int)]
    addresses = [pod.status.pod_ip for pod in pods.selected(attacker.api, place) if pod.status.pod_ip]
    return by_name + [f"{_in_url(address)}:{port}" for address in addresses for port in targets]


def _in_url(address: str) -> str:
    return f"[{address}]" if ":" in address else address
