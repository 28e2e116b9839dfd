"""Undeclared callers that use the egress gateway, and with it the client's identity."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import Any
from uuid import uuid4

from kubernetes.client import CoreV1Api

from verification import curls, pods
from verification.answers import Answer
from verification.attacks.foreign_routes import HEADER, TEAPOT
from verification.attacks.workload import QUICKLY
from verification.calls import call
from verification.checks import CREATES, Check, Failed, Skipped, Unjudged
from verification.context import ClientContext, HostContext
from verification.pods import REQUEST_SECONDS
from verification.probes import NO_SAFE_METHOD, Probe

_LIVE_SECONDS = 20


def checks(client: ClientContext) -> Iterator[Check]:
    """Yield the checks of one client."""
    look = client.look(f"kubectl -n {client.gateway.namespace} get authorizationpolicies; istioctl x authz check")
    for host in client.callable_hosts:
        probe = host.probe
        caller = f"an undeclared caller does not reach {host.name}"
        bare = f"a Pod without a sidecar does not reach {host.name} through the egress gateway"
        if client.stack.read_only or not probe:
            for promise in (caller, bare):
                yield client.skipped(promise, CREATES if client.stack.read_only else NO_SAFE_METHOD, host.name)
            continue
        run = partial(undeclared_caller_is_refused, client, host, probe)
        yield client.check(caller, "403 of the egress gateway's policy", run, look, host.name)
        run = partial(pod_without_sidecar_is_refused, client, host, probe)
        yield client.check(bare, "no answer of the host", run, look, host.name)
    yield from _account_checks(client, look)


def undeclared_caller_is_refused(client: ClientContext, host: HostContext, probe: Probe) -> str:
    """Call from a Pod of the mesh whose namespace copies a declared caller's: entry, route and SNI."""
    url, mark = f"http://{host.domain}{probe.path}", uuid4().hex[:8]
    with _stolen_route(client, host, mark):
        _wait_until_live(client, probe, url, mark)
        done = client.attacker.curl_with_sidecar(*QUICKLY, *probe.options, url)
    if done.code:
        raise Failed(f"curl ended with {done.code}, which is no refusal: {done.stderr.strip()}")
    answer = Answer.printed(done.stdout)
    if not answer.denied:
        raise Failed(f"got {answer.summary}")
    return f"{answer.status}"


def undeclared_account_is_refused(client: ClientContext, host: HostContext, probe: Probe) -> str:
    """Call from a Pod of the stack's own namespace that has a sidecar and the namespace's default service account."""
    url = f"http://{host.domain}{probe.path}"
    done = client.attacker.curl_of_undeclared_account(*QUICKLY, *probe.options, url)
    if done.code:
        raise Unjudged(f"curl ended with {done.code}, which is no refusal: {done.stderr.strip()}")
    answer = Answer.printed(done.stdout)
    if answer.without_upstream:
        raise Unjudged(f"got {answer.summary}, which is no refusal")
    if not answer.denied:
        raise Failed(f"got {answer.summary}")
    declared = call(client, host, probe, uuid4().hex)
    probe.judge(declared, client.output)
    return f"{answer.status}, and {declared.status} for the declared one"


def pod_without_sidecar_is_refused(client: ClientContext, host: HostContext, probe: Probe) -> str:
    """Ask the egress gateway's ports for the host by HTTP, and by HTTPS without a certificate of the mesh."""
    curl, domain = client.attacker.curl_without_sidecar, host.domain
    address = f"{client.gateway.name}.{client.gateway.namespace}.svc"
    reached = curl(*QUICKLY, "-o", "/dev/null", "-w", "%{time_connect}", f"http://{address}:443/")
    if not reached.stdout.strip() or float(reached.stdout) == 0:
        raise Skipped("the cluster's network refuses the connection before the egress gateway can")
    ways = (("--connect-to", f"{domain}::{address}:"), *_ways_to_pods(client, domain))
    tried = [
        (url, way) for way in ways for url in (f"http://{domain}:80", f"http://{domain}:443", f"https://{domain}:443")
    ]
    requests = [(*QUICKLY, *probe.options, "-k", *way, f"{url}{probe.path}") for url, way in tried]
    seen: dict[str, None] = {}
    for (url, way), done in zip(tried, curls.each(curl, requests), strict=True):
        if done.code:
            seen[f"{url}: no answer (curl {done.code})"] = None
            continue
        answer = Answer.printed(done.stdout)
        if not (answer.refused or answer.without_upstream):
            raise Failed(f"{url}: got {answer.summary} by {way[-1]}")
        seen[f"{url}: {answer.status}"] = None
    return ", ".join(seen)


def _ways_to_pods(client: ClientContext, domain: str) -> list[tuple[str, ...]]:
    """Return the options by which curl takes each Pod of the egress gateway, with its ports, for the host."""
    api, gateway = client.attacker.api, client.gateway
    service: Any = CoreV1Api(api).read_namespaced_service(
        gateway.name, gateway.namespace, _request_timeout=REQUEST_SECONDS
    )
    ways = []
    for pod in pods.selected(api, gateway):
        address = pods.in_url(pod.status.pod_ip)
        ports = {port.port: pods.target_port(pod, port) for port in service.spec.ports}
        to_ports = [f"{domain}:{port}:{address}:{ports.get(port) or port}" for port in (80, 443)]
        ways.append(tuple(option for each in to_ports for option in ("--connect-to", each)))
    return ways


def _account_checks(client: ClientContext, look: str) -> Iterator[Check]:
    """Yield the checks of the demo caller's namespace; in the users' own namespaces, the verification makes no Pods."""
    accounts = [caller for caller in client.settings.callers or () if "/" in caller]
    if accounts:
        promise = f"service accounts beside {', '.join(accounts)} reach no host"
        yield client.skipped(promise, "the verification makes no Pods in your own namespaces")
    if not client.settings.demo:
        return
    for host in client.callable_hosts:
        promise, probe = (
            f"an undeclared service account of the caller's namespace does not reach {host.name}",
            host.probe,
        )
        if client.stack.read_only or not probe:
            yield client.skipped(promise, CREATES if client.stack.read_only else NO_SAFE_METHOD, host.name)
            continue
        run = partial(undeclared_account_is_refused, client, host, probe)
        yield client.check(promise, "403 of the egress gateway's policy", run, look, host.name)


def _wait_until_live(client: ClientContext, probe: Probe, url: str, mark: str) -> None:
    """Wait until the stolen route answers a request with the mark; raise Unjudged after `_LIVE_SECONDS`."""
    end = time.monotonic() + _LIVE_SECONDS
    while True:
        done = client.attacker.curl_with_sidecar(*QUICKLY, *probe.options, "-H", f"{HEADER}: {mark}", url)
        if done.code == 0 and Answer.printed(done.stdout).status == TEAPOT:
            return
        if time.monotonic() > end:
            raise Unjudged("the attacker's route is not live, so the answer would prove nothing")
        time.sleep(0.5)


def _stolen_route(client: ClientContext, host: HostContext, mark: str) -> AbstractContextManager[None]:
    """Deploy copies of a declared caller's objects; their route itself answers requests with the mark: it is live."""
    service, name = f"{client.gateway.name}.{client.gateway.namespace}.svc.cluster.local", f"stolen-{mark}"
    entry = {
        "hosts": [host.domain],
        "exportTo": ["."],
        "location": "MESH_EXTERNAL",
        "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}],
        "resolution": "DNS",
    }
    tls = {"port": {"number": 443}, "tls": {"mode": "ISTIO_MUTUAL", "sni": host.domain}}
    rule = {
        "host": service,
        "exportTo": ["."],
        "subsets": [{"name": name, "trafficPolicy": {"portLevelSettings": [tls]}}],
    }
    to_gateway = {"host": service, "subset": name, "port": {"number": 443}}
    route = {
        "hosts": [host.domain],
        "exportTo": ["."],
        "http": [
            {"match": [{"headers": {HEADER: {"exact": mark}}}], "directResponse": {"status": TEAPOT}},
            {"route": [{"destination": to_gateway}]},
        ],
    }
    return client.attacker.deployed(
        {"kind": "ServiceEntry", "name": name, "spec": entry},
        {"kind": "DestinationRule", "name": name, "spec": rule},
        {"kind": "VirtualService", "name": name, "spec": route},
    )
