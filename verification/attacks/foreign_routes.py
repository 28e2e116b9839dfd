"""Routes for a host in a namespace of the target cluster that is not the stack's.

Not tried: a server for the same host at port 443. The listener would have two filter chains that match the same name;
Envoy refuses such a listener as a whole, and the ingress gateway takes no change until the Gateway is gone. See
https://github.com/istio/istio/issues/13717.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any
from uuid import uuid4

from kubernetes.client import CoreV1Api

from components.demo import HTTPBIN, HTTPBIN_PORT
from verification import curls
from verification.answers import Answer
from verification.attacks.workload import QUICKLY
from verification.checks import CREATES, Check, Failed, Skipped, Unjudged
from verification.context import ClientContext, HostContext
from verification.hosts import NO_OWN_CLIENT
from verification.pods import REQUEST_SECONDS
from verification.probes import NO_SAFE_METHOD, Probe

HEADER = "x-kyma-mtls-verification"
"""Only requests with this header can reach an attacker's answer."""
TEAPOT = 418

_PUBLISH = "a Gateway in an unrelated namespace does not publish the host"
_CAPTURE = "a VirtualService in an unrelated namespace does not capture the host's requests"
_LIVE_SECONDS = 20
_TIMES = 3  # over new connections: of several gateways, only one may have the route yet
_PORT = 80


def checks(host: HostContext) -> Iterator[Check]:
    """Yield the checks of one host."""
    probe, target = host.probe, host.stack.settings.target
    if host.stack.read_only or not probe:
        for promise in (_PUBLISH, _CAPTURE):
            yield host.skipped(promise, CREATES if host.stack.read_only else NO_SAFE_METHOD)
        return
    if target and target.gateway_passthrough:
        yield host.skipped(_PUBLISH, "gatewayPassthrough allows it: the stack's policies exempt such requests")
    else:
        run = partial(foreign_gateway_publishes_nothing, host, probe)
        yield host.check(_PUBLISH, "403 of the gateway's policy, while port 80 serves", run, host.look_policy)
    if host.admitted_own_clients:
        run = partial(foreign_virtual_service_captures_nothing, host, host.admitted_own_clients[0], probe)
        look = f"target cluster: kubectl get gateway.networking.istio.io -A; its hosts begin with ./ ({host.name})"
        yield host.check(_CAPTURE, "an answer that is not the attacker's", run, look)
    else:
        yield host.skipped(_CAPTURE, NO_OWN_CLIENT)


def foreign_gateway_publishes_nothing(host: HostContext, probe: Probe) -> str:
    """Add a Gateway at port 80, and a VirtualService that routes to the workload."""
    domain, mark = host.domain, f"publish-{uuid4().hex[:8]}"
    route = _virtual_service(f"{mark}-route", [domain], [mark], [_to_workload(host)])
    with host.attacker.deployed(_gateway(host, mark, [_control(mark), domain]), route, _control_route(mark)):
        _wait_until_live(lambda: _ask_inside(host, [_control(mark)], probe)[0])
        names = (domain, domain.upper(), f"{domain}:{_PORT}") * _TIMES
        answers = _ask_inside(host, names, probe)
    for name, answer in zip(names, answers, strict=True):
        if not answer.refused and not answer.redirected:
            raise Failed(f"Host {name}, without a client certificate: got {answer.summary}")
    return " and ".join(sorted({str(answer.status) for answer in answers}))


def foreign_virtual_service_captures_nothing(host: HostContext, client: ClientContext, probe: Probe) -> str:
    """Bind a VirtualService that answers itself to the stack's own Gateway."""
    endpoint, mark = host.endpoint, f"capture-{uuid4().hex[:8]}"
    answers_itself = {"match": [{"headers": {HEADER: {"exact": mark}}}], "directResponse": {"status": TEAPOT}}
    # If it captured requests, a VirtualService without a last route would drop live ones.
    rules = [answers_itself, _to_workload(host)]
    route = _virtual_service(mark, [_control(mark), endpoint.domain], [mark, host.output.gateway], rules)
    credential = client.credential()
    with host.attacker.deployed(_gateway(host, mark, [_control(mark)]), route):
        _wait_until_live(lambda: _ask_inside(host, [_control(mark)], probe, mark)[0])
        answers = [
            endpoint.request(probe.method, probe.path, credential, headers={HEADER: mark}) for _ in range(_TIMES)
        ]
    if any(answer.status == TEAPOT for answer in answers):
        raise Failed(f"got {TEAPOT}: the attacker's VirtualService answered")
    return [probe.judge(answer, client.output) for answer in answers][-1]


def _ask_inside(host: HostContext, names: Sequence[str], probe: Probe, mark: str = "") -> list[Answer]:
    """Ask the ingress gateway for each name by plain HTTP, from a Pod without a sidecar."""
    gateway = host.gateway
    url = f"http://{gateway.name}.{gateway.namespace}.svc{probe.path}"
    header = ("-H", f"{HEADER}: {mark}") if mark else ()
    requests = [(*QUICKLY, *probe.options, "-H", f"Host: {name}", *header, url) for name in names]
    answers = []
    for done in curls.each(host.attacker.curl_without_sidecar, requests):
        if done.code:
            raise Failed(f"port 80 of the ingress gateway: curl ended with {done.code}: {done.stderr.strip()}")
        answers.append(Answer.printed(done.stdout))
    return answers


def _wait_until_live(ask: Callable[[], Answer]) -> None:
    """Wait until the attacker's control host answers: every object that was deployed with it is live then, too.

    Raise Unjudged if it does not, Skipped if a policy of the mesh refuses it.
    """
    end = time.monotonic() + _LIVE_SECONDS
    saw = "no answer"
    while time.monotonic() < end:
        try:
            answer = ask()
            if answer.status == TEAPOT:
                return
            if answer.denied:
                raise Skipped("a policy of the mesh refuses the attacker's control host, too: nothing is proved")
            saw = answer.summary
        except Failed as failure:  # before the Gateway is live, port 80 may have no listener
            saw = str(failure)
        time.sleep(0.5)
    raise Unjudged(f"the attacker's control host is not served, so the answer would prove nothing: {saw}")


def _control(mark: str) -> str:
    return f"{mark}.kyma-mtls.invalid"


def _control_route(mark: str) -> dict[str, Any]:
    answer = [{"directResponse": {"status": TEAPOT}}]
    return _virtual_service(mark, [_control(mark)], [mark], answer)


def _gateway(host: HostContext, name: str, hosts: list[str]) -> dict[str, Any]:
    ingress = host.gateway
    service: Any = CoreV1Api(host.attacker.api).read_namespaced_service(
        ingress.name, ingress.namespace, _request_timeout=REQUEST_SECONDS
    )
    if all(port.port != _PORT for port in service.spec.ports):
        raise Skipped(f"the ingress gateway's Service {ingress} has no port {_PORT}, which this attack needs")
    server = {"port": {"number": _PORT, "name": "http", "protocol": "HTTP"}, "hosts": hosts}
    return {"kind": "Gateway", "name": name, "spec": {"selector": service.spec.selector, "servers": [server]}}


def _virtual_service(name: str, hosts: list[str], gateways: list[str], http: list[dict[str, Any]]) -> dict[str, Any]:
    # A mesh may export nothing by default.
    spec = {"hosts": hosts, "gateways": gateways, "exportTo": ["*"], "http": http}
    return {"kind": "VirtualService", "name": name, "spec": spec}


def _to_workload(host: HostContext) -> dict[str, Any]:
    """Return a rule of a VirtualService that routes all requests to the host's workload."""
    service = host.settings.service
    namespace = service.namespace if service else host.attacker.stack_namespace
    name, port = (service.name, service.port) if service else (HTTPBIN, HTTPBIN_PORT)
    destination = {"host": f"{name}.{namespace}.svc.cluster.local", "port": {"number": port}}
    return {"route": [{"destination": destination}]}
