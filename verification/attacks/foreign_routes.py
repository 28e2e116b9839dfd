"""Routes for a host that another namespace of the target cluster adds.

Not tried: a server for the same host at port 443. Istio would give the listener two filter chains of one name, Envoy
would refuse the listener as a whole, and until the Gateway is gone the ingress gateway would take no change at all.
"""

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from uuid import uuid4

from kubernetes.client import CoreV1Api

from components.demo import HTTPBIN, HTTPBIN_PORT
from components.namespaced_name import NamespacedName
from verification.answers import Answer
from verification.attacker import Attacker
from verification.attacks.workload import QUICKLY
from verification.checks import CREATES, Check, Failed, Skipped, skipped
from verification.hosts import NO_OWN_CLIENT, group_of, look_policy, own_admitted
from verification.pods import REQUEST_SECONDS
from verification.probes import NO_SAFE_METHOD, Probe, probe
from verification.stack import DeployedStack

HEADER = "x-kyma-mtls-verification"  # only requests that bear it can meet an attacker's answer
TEAPOT = 418

_PUBLISH = "another namespace's Gateway does not publish it"
_TAKE_OVER = "another namespace's VirtualService does not take it over"
_LIVE_SECONDS = 20
_TIMES = 3  # over new connections: of several gateways, only one may have the route yet
_PORT = 80


def checks(stack: DeployedStack, host: str) -> Iterator[Check]:
    """Yield the checks of one host."""
    group, asked, own = group_of(stack, host), probe(stack.settings.hosts[host]), own_admitted(stack, host)
    target = stack.settings.target
    if stack.read_only or not asked:
        for promise in (_PUBLISH, _TAKE_OVER):
            yield skipped(group, promise, CREATES if stack.read_only else NO_SAFE_METHOD, host)
        return
    if target and target.gateway_passthrough:
        yield skipped(group, _PUBLISH, "gatewayPassthrough accepts this: the policies spare it", host)
    else:
        run = partial(foreign_gateway_publishes_nothing, stack, host, asked)
        yield Check(
            group, _PUBLISH, "403 of the gateway's policy; the way as such is open", run, look_policy(stack), host
        )
    if own:
        run = partial(foreign_virtual_service_takes_nothing, stack, host, own[0], asked)
        look = f"target cluster: kubectl get gateway.networking.istio.io -A; its hosts begin with ./ ({host})"
        yield Check(group, _TAKE_OVER, "an answer that is not the attacker's", run, look, host)
    else:
        yield skipped(group, _TAKE_OVER, NO_OWN_CLIENT, host)


def foreign_gateway_publishes_nothing(stack: DeployedStack, host: str, asked: Probe) -> str:
    """Add a Gateway at port 80, and a VirtualService to the workload."""
    attacker, domain = stack.attackers["target"], stack.outputs.hosts[host].domain
    mark = f"publish-{uuid4().hex[:8]}"
    routes = [{"route": [{"destination": _destination(stack, host, attacker)}]}]
    route = _virtual_service(f"{mark}-route", [domain], [mark], routes)
    with attacker.deployed(_gateway(stack, mark, [_control(mark), domain]), route, _control_route(mark)):
        _wait_until_live(lambda: _ask_inside(stack, _control(mark), asked))
        names = (domain, domain.upper(), f"{domain}:{_PORT}") * _TIMES
        answers = [(name, _ask_inside(stack, name, asked)) for name in names]
    for name, answer in answers:
        if not answer.refused and not answer.redirected:
            raise Failed(f"Host {name}, without a client certificate: got {answer.said}")
    return " and ".join(sorted({str(answer.status) for _, answer in answers}))


def foreign_virtual_service_takes_nothing(stack: DeployedStack, host: str, client: str, asked: Probe) -> str:
    """Add a VirtualService for the stack's own Gateway, which answers itself."""
    attacker, endpoint = stack.attackers["target"], stack.endpoint(host)
    mark = f"take-over-{uuid4().hex[:8]}"
    gateways = [mark, stack.outputs.hosts[host].gateway]
    answers_itself = [{"match": [{"headers": {HEADER: {"exact": mark}}}], "directResponse": {"status": TEAPOT}}]
    hosts = [_control(mark), endpoint.domain]
    # A VirtualService without a last route for all the rest would take live requests away, if it took any.
    rest = [{"route": [{"destination": _destination(stack, host, attacker)}]}]
    route = _virtual_service(mark, hosts, gateways, answers_itself + rest)
    credential = stack.clients[client].credential()
    with attacker.deployed(_gateway(stack, mark, [_control(mark)]), route):
        _wait_until_live(lambda: _ask_inside(stack, _control(mark), asked, mark))
        answers = [
            endpoint.request(asked.method, asked.path, credential, headers={HEADER: mark}) for _ in range(_TIMES)
        ]
    if any(answer.status == TEAPOT for answer in answers):
        raise Failed(f"got {TEAPOT}: the other namespace's own answer")
    return [asked.judge(answer, stack.outputs.clients[client]) for answer in answers][-1]


def _ask_inside(stack: DeployedStack, host: str, asked: Probe, mark: str = "") -> Answer:
    """Ask the ingress gateway for a host by plain HTTP, from a Pod without a sidecar."""
    gateway = _ingress(stack)
    url = f"http://{gateway.name}.{gateway.namespace}.svc{asked.path}"
    header = ("-H", f"{HEADER}: {mark}") if mark else ()
    done = stack.attackers["target"].curl_without_sidecar(*QUICKLY, *asked.options, "-H", f"Host: {host}", *header, url)
    if done.code:
        raise Failed(f"port 80 of the ingress gateway: curl ended with {done.code}: {done.stderr.strip()}")
    return Answer.printed(done.stdout)


def _wait_until_live(ask: Callable[[], Answer]) -> None:
    """Wait until the attacker's own host answers: what was deployed with it is live then, too."""
    end = time.monotonic() + _LIVE_SECONDS
    saw = "nothing"
    while time.monotonic() < end:
        try:
            answer = ask()
            if answer.status == TEAPOT:
                return
            saw = answer.said
        except Failed as failure:  # nothing may have listened at port 80 before
            saw = str(failure)
        time.sleep(0.5)
    raise Skipped(f"the attacker's own host is not served, so that nothing can be told: {saw}")


def _control(mark: str) -> str:
    return f"{mark}.kyma-mtls.invalid"


def _control_route(mark: str) -> dict[str, Any]:
    answer = [{"directResponse": {"status": TEAPOT}}]
    return _virtual_service(mark, [_control(mark)], [mark], answer)


def _gateway(stack: DeployedStack, name: str, hosts: list[str]) -> dict[str, Any]:
    place, attacker = _ingress(stack), stack.attackers["target"]
    service: Any = CoreV1Api(attacker.api).read_namespaced_service(
        place.name, place.namespace, _request_timeout=REQUEST_SECONDS
    )
    if all(port.port != _PORT for port in service.spec.ports):
        raise Skipped(f"the ingress gateway's Service {place} has no port {_PORT}, at which this is tried")
    server = {"port": {"number": _PORT, "name": "http", "protocol": "HTTP"}, "hosts": hosts}
    return {"kind": "Gateway", "name": name, "spec": {"selector": service.spec.selector, "servers": [server]}}


def _virtual_service(name: str, hosts: list[str], gateways: list[str], http: list[dict[str, Any]]) -> dict[str, Any]:
    # A mesh may export nothing by default.
    spec = {"hosts": hosts, "gateways": gateways, "exportTo": ["*"], "http": http}
    return {"kind": "VirtualService", "name": name, "spec": spec}


def _destination(stack: DeployedStack, host: str, attacker: Attacker) -> dict[str, Any]:
    service = stack.settings.hosts[host].service
    place = (
        NamespacedName(service.namespace, service.name)
        if service
        else NamespacedName(attacker.stack_namespace, HTTPBIN)
    )
    port = service.port if service else HTTPBIN_PORT
    return {"host": f"{place.name}.{place.namespace}.svc.cluster.local", "port": {"number": port}}


def _ingress(stack: DeployedStack) -> NamespacedName:
    if not stack.outputs.target:
        raise Failed("output target is gone")
    return stack.outputs.target.gateway
