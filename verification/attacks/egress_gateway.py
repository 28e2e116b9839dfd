"""The egress gateway, and with it the client's identity, used by others than the declared callers."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import partial
from uuid import uuid4

from verification.answers import Answer
from verification.attacks.foreign_routes import HEADER, TEAPOT
from verification.attacks.workload import QUICKLY
from verification.checks import CREATES, Check, Failed, Skipped, skipped
from verification.clients import awaits_partner
from verification.probes import NO_SAFE_METHOD, Probe, probe
from verification.stack import DeployedStack

_LIVE_SECONDS = 20


def checks(stack: DeployedStack, client: str) -> Iterator[Check]:
    """Yield the checks of one client."""
    group, hosts = f"client {client}", stack.settings.hosts_of(client)
    policies = f"kubectl -n {stack.outputs.clients[client].gateway.namespace} get authorizationpolicies"
    look = f"cluster of client {client}: {policies}; istioctl x authz check"
    for host in hosts:
        if awaits_partner(hosts[host], client):
            continue  # there is no route
        asked = probe(hosts[host])
        caller = f"a caller that is not declared does not reach {host}"
        bare = f"a Pod without a sidecar does not reach {host} through the egress gateway"
        if stack.read_only or not asked:
            for promise in (caller, bare):
                yield skipped(group, promise, CREATES if stack.read_only else NO_SAFE_METHOD, host, client)
            continue
        run = partial(undeclared_caller_is_refused, stack, client, host, asked)
        yield Check(group, caller, "403 of the egress gateway's policy", run, look, host, client)
        run = partial(pod_without_sidecar_is_refused, stack, client, host, asked)
        yield Check(group, bare, "no answer of the host", run, look, host, client)


def undeclared_caller_is_refused(stack: DeployedStack, client: str, host: str, asked: Probe) -> str:
    """Call from a Pod of the mesh whose namespace has all that a declared caller has: entry, route and SNI."""
    attacker = stack.attackers[f"clients.{client}"]
    url, mark = f"http://{stack.outputs.hosts[host].domain}{asked.path}", uuid4().hex[:8]
    with _stolen_route(stack, client, host, mark):
        end = time.monotonic() + _LIVE_SECONDS
        while True:
            live = attacker.curl_with_sidecar(*QUICKLY, *asked.options, "-H", f"{HEADER}: {mark}", url)
            if live.code == 0 and Answer.printed(live.stdout).status == TEAPOT:
                break
            if time.monotonic() > end:
                raise Skipped("the attacker's own route is not there, so that nothing can be told")
            time.sleep(0.5)
        done = attacker.curl_with_sidecar(*QUICKLY, *asked.options, url)
    if done.code:
        raise Failed(f"curl ended with {done.code}, which is no refusal: {done.stderr.strip()}")
    answer = Answer.printed(done.stdout)
    if not answer.denied:
        raise Failed(f"got {answer.said}")
    return f"{answer.status}"


def pod_without_sidecar_is_refused(stack: DeployedStack, client: str, host: str, asked: Probe) -> str:
    """Ask the egress gateway's ports for the host by HTTP, and by HTTPS without a certificate of the mesh."""
    attacker, gateway = stack.attackers[f"clients.{client}"], stack.outputs.clients[client].gateway
    domain, address = stack.outputs.hosts[host].domain, f"{gateway.name}.{gateway.namespace}.svc"
    reached = attacker.curl_without_sidecar(
        *QUICKLY, "-o", "/dev/null", "-w", "%{time_connect}", f"http://{address}:443/"
    )
    if not reached.stdout.strip() or float(reached.stdout) == 0:
        raise Skipped("the cluster's network refuses it before the egress gateway does")
    seen = []
    for url in (f"http://{domain}:80", f"http://{domain}:443", f"https://{domain}:443"):
        to_gateway = ("-k", "--connect-to", f"{domain}::{address}:")
        done = attacker.curl_without_sidecar(*QUICKLY, *asked.options, *to_gateway, f"{url}{asked.path}")
        if done.code:
            seen.append(f"{url}: no answer (curl {done.code})")
            continue
        answer = Answer.printed(done.stdout)
        if not (answer.refused or answer.without_upstream):
            raise Failed(f"{url}: got {answer.said}")
        seen.append(f"{url}: {answer.status}")
    return ", ".join(seen)


def _stolen_route(stack: DeployedStack, client: str, host: str, mark: str) -> AbstractContextManager[None]:
    """Deploy what the stack has for a declared caller, and an answer of the route itself that shows it to be live."""
    attacker, gateway = stack.attackers[f"clients.{client}"], stack.outputs.clients[client].gateway
    domain, service = stack.outputs.hosts[host].domain, f"{gateway.name}.{gateway.namespace}.svc.cluster.local"
    name = f"stolen-{mark}"
    entry = {
        "hosts": [domain],
        "exportTo": ["."],
        "location": "MESH_EXTERNAL",
        "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}],
        "resolution": "DNS",
    }
    tls = {"port": {"number": 443}, "tls": {"mode": "ISTIO_MUTUAL", "sni": domain}}
    rule = {
        "host": service,
        "exportTo": ["."],
        "subsets": [{"name": name, "trafficPolicy": {"portLevelSettings": [tls]}}],
    }
    to_gateway = {"host": service, "subset": name, "port": {"number": 443}}
    route = {
        "hosts": [domain],
        "exportTo": ["."],
        "http": [
            {"match": [{"headers": {HEADER: {"exact": mark}}}], "directResponse": {"status": TEAPOT}},
            {"route": [{"destination": to_gateway}]},
        ],
    }
    return attacker.deployed(
        {"kind": "ServiceEntry", "name": name, "spec": entry},
        {"kind": "DestinationRule", "name": name, "spec": rule},
        {"kind": "VirtualService", "name": name, "spec": route},
    )
