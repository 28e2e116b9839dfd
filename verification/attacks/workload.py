"""Pods of the target cluster that call a host's workload past the gateway."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from kubernetes.client import CoreV1Api

from components.demo import HTTPBIN
from components.namespaced_name import NamespacedName
from settings import Platform
from verification import curls, pods
from verification.answers import Answer
from verification.calls import NOT_CONNECTED
from verification.checks import CREATES, Check, Failed, Skipped
from verification.context import HostContext
from verification.pods import REQUEST_SECONDS, Executed
from verification.probes import NO_SAFE_METHOD, Probe

QUICKLY = ("-sS", "--connect-timeout", "5", "--max-time", "10")

_PROMISE = "the workload refuses Pods that bypass the gateway"
_LOOK = "target cluster: kubectl get authorizationpolicies,peerauthentications -A"
_NOT_ANSWERED = NOT_CONNECTED | {52, 56}  # no answer, reset while receiving


def checks(host: HostContext) -> Iterator[Check]:
    """Yield the check of one host."""
    probe = host.probe
    if not host.settings.demo and host.stack.settings.platform == Platform.ISTIO:
        yield host.skipped(_PROMISE, "the workload is your own Service, to whose namespace the stack adds no policy")
    elif host.stack.read_only or not probe:
        yield host.skipped(_PROMISE, CREATES if host.stack.read_only else NO_SAFE_METHOD)
    else:
        expected = "403 of the workload's own policy, or no connection, for Pods with and without a sidecar"
        yield host.check(_PROMISE, expected, partial(workload_is_closed, host, probe), _LOOK)


def workload_is_closed(host: HostContext, probe: Probe) -> str:
    """Call the Service and the Pods' addresses, also with the Host and the header that the gateway would send."""
    identity = next(iter(host.stack.settings.admitted(host.name)), "")
    uri = host.stack.outputs.clients[identity].identity if identity else "spiffe://verification.invalid/a"
    as_gateway = ("-H", f"Host: {host.domain}", "-H", f'X-Forwarded-Client-Cert: Hash=0;Subject="";URI={uri}')
    pods_of_attacker = {
        "a Pod with a sidecar": host.attacker.curl_with_sidecar,
        "a Pod without a sidecar": host.attacker.curl_without_sidecar,
    }
    tried = [(address, disguise) for address in _addresses(host) for disguise in ((), as_gateway)]
    requests = [(*QUICKLY, *probe.options, *disguise, f"http://{address}{probe.path}") for address, disguise in tried]
    seen: dict[str, None] = {}
    for pod, curl in pods_of_attacker.items():
        for (address, _), done in zip(tried, curls.each(curl, requests), strict=True):
            seen[_judge(done, f"{pod} at {address}")] = None
    if "403" not in seen:
        raise Skipped(f"no policy answered: the cluster's network refuses the connection first ({', '.join(seen)})")
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
    raise Failed(f"{where}: got {answer.summary}")


def _addresses(host: HostContext) -> list[str]:
    """Return ADDRESS:PORT of a host's workload: by its Service's name, and by the IP address of each Pod."""
    api, served = host.attacker.api, host.settings.service
    name = NamespacedName(*((served.namespace, served.name) if served else (host.attacker.stack_namespace, HTTPBIN)))
    service: Any = CoreV1Api(api).read_namespaced_service(name.name, name.namespace, _request_timeout=REQUEST_SECONDS)
    ports = [port for port in service.spec.ports if not served or port.port == served.port]
    by_name = [f"{name.name}.{name.namespace}.svc:{port.port}" for port in ports]
    return by_name + [
        f"{pods.in_url(pod.status.pod_ip)}:{port}"
        for pod in pods.selected(api, name)
        if pod.status.pod_ip
        for port in dict.fromkeys(filter(None, (pods.target_port(pod, each) for each in ports)))
    ]
