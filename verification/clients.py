"""What a client promises: the way of its callers to each host, and no other way."""

import shlex
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from uuid import uuid4

from settings import Host, NetworkPolicy
from verification import sidecars
from verification.answers import Answer
from verification.checks import Check, Failed, skipped
from verification.pods import Executed
from verification.probes import NO_SAFE_METHOD, Probe, probe
from verification.stack import DeployedStack

NO_HOST_TO_CALL = "no host of it can be called to tell a refusal from a failure"
CURL_NOT_CONNECTED = {7, 28, 35}  # connection refused, timed out, reset before TLS was there

_POLICY_LOOK = "kubectl get networkpolicies -A"
_HTTPS = 443
CURL_SECONDS = "20"


def checks(stack: DeployedStack, name: str) -> Iterator[Check]:
    """Yield the checks of one client."""
    client, hosts = stack.settings.clients[name], stack.settings.hosts_of(name)
    group = f"client {name}"
    if not hosts:
        yield skipped(group, "it reaches its hosts", "no host admits it", client=name)
        return
    if client.is_partner:
        reason = f"only the partner has its key; admitted by {', '.join(hosts)}"
        yield skipped(group, "its certificate is admitted", reason, client=name)
        return
    for host in hosts:
        yield _way_out(stack, group, name, host)
    if client.demo:
        yield _direct_way_out(stack, group, name)
        yield sidecars.check(stack, f"clients.{name}", group, client=name)


def plain_http_leaves_through_egress_gateway(stack: DeployedStack, client: str, host: str, asked: Probe) -> str:
    """Plain HTTP in the demo's Pod, mutual TLS on the wire, the request in the egress gateway's log."""
    marker, start = uuid4().hex, datetime.now(UTC)
    answer = call(stack, client, host, asked, marker)
    seen = asked.judge(answer, stack.outputs.clients[client])
    try:
        line = stack.clients[client].wait_for_log(marker, start)
    except Failed as failure:
        if not stack.outputs.clients[client].access_log:
            return f"{seen}; not seen in the egress gateway's log, which is not the stack's"
        raise Failed(f"{seen}, but {failure}") from None
    if "route_not_found" in line:
        raise Failed(f"got {answer.status} of the egress gateway itself, which has no route for this")
    return f"{seen}; logged by the egress gateway"


def direct_way_out_is_refused(stack: DeployedStack, client: str, host: str, asked: Probe) -> str:
    """HTTPS from the demo's Pod past the egress gateway: no TLS handshake may come about."""
    url = f"https://{stack.outputs.hosts[host].domain}:{port_of(stack.settings.hosts[host])}{asked.path}"
    # With TLS 1.3, a handshake comes about before a client without a certificate is refused.
    quiet = ("-ksS", "--tlsv1.3", "--max-time", CURL_SECONDS, "-o", "/dev/null", "-w", "%{time_appconnect}")
    done = stack.clients[client].curl(*quiet, url)
    if spoke_tls(done):
        raise Failed(f"{host} could be reached by TLS directly (curl ended with {done.code})")
    if done.code not in CURL_NOT_CONNECTED:
        raise Failed(f"curl ended with {done.code}, which is no refused connection: {done.stderr.strip()}")
    answer = call(stack, client, host, asked, uuid4().hex)
    asked.judge(answer, stack.outputs.clients[client])
    return f"{host}: curl ended with {done.code} directly; {answer.status} through the egress gateway"


def _way_out(stack: DeployedStack, group: str, name: str, host_name: str) -> Check:
    client, host = stack.settings.clients[name], stack.settings.hosts[host_name]
    promise = f"plain HTTP to {host_name} leaves through the egress gateway"
    asked = probe(host)
    path = asked.path if asked else "/"
    if awaits_partner(host, name):
        reason = f"the partner's answer to the output signingRequests.{host_name}.{name} is awaited"
        return skipped(group, promise, reason, host_name, name)
    if client.callers is not None:
        curl = shlex.join(("curl", "-sS", *(asked.options if asked else ("-i",)), f"http://{host.domain}{path}"))
        reason = f"its callers are your own Pods; run in one of {', '.join(client.callers)}: {curl}"
        return skipped(group, promise, reason, host_name, name)
    if not asked:
        return skipped(group, promise, NO_SAFE_METHOD, host_name, name)
    run = partial(plain_http_leaves_through_egress_gateway, stack, name, host_name, asked)
    expected, output = asked.expected, stack.outputs.clients[name]
    if output.access_log:
        expected += ", and a line in the egress gateway's log"
    namespace, gateway = output.gateway.namespace, f"svc/{output.gateway.name}"
    look = f"kubectl -n {namespace} logs {gateway}; istioctl proxy-config clusters -n {namespace} {gateway}"
    return Check(group, promise, expected, run, f"cluster of client {name}: {look}", host_name, name)


def _direct_way_out(stack: DeployedStack, group: str, name: str) -> Check:
    promise = "the direct way out is refused"
    if stack.settings.clients[name].network_policy == NetworkPolicy.NONE:
        return skipped(group, promise, "networkPolicy is none: its namespaces may be left by any way", client=name)
    host, asked = host_to_call(stack, name)
    if not asked:
        return skipped(group, promise, NO_HOST_TO_CALL, client=name)
    run = partial(direct_way_out_is_refused, stack, name, host, asked)
    expected = "no TLS handshake directly, and an answer through the egress gateway"
    return Check(group, promise, expected, run, f"cluster of client {name}: {_POLICY_LOOK}", host, name)


def host_to_call(stack: DeployedStack, client: str) -> tuple[str, Probe | None]:
    """Return a host that a client can call, and how; None if there is none."""
    hosts = stack.settings.hosts_of(client)
    ready = {host: asked for host in hosts if not awaits_partner(hosts[host], client) and (asked := probe(hosts[host]))}
    # Better one of the target, which is known to offer TLS 1.3.
    host = min(ready, key=lambda each: hosts[each].external is not None, default="")
    return host, ready.get(host)


def port_of(host: Host) -> int:
    """Return the port at which a host's server is called."""
    return host.external.port if host.external else _HTTPS


def call(stack: DeployedStack, client: str, host: str, asked: Probe, marker: str, *options: str) -> Answer:
    """Call a host by plain HTTP from the demo's Pod; the marker will be in the egress gateway's log."""
    query = f"?{marker}" if asked.shows_client else ""  # a service might not take it
    url = f"http://{stack.outputs.hosts[host].domain}{asked.path}{query}"
    agent = ("-A", f"kyma-mtls-verification {marker}")
    done = stack.clients[client].curl("-sS", *asked.options, *options, *agent, "--max-time", CURL_SECONDS, url)
    if done.code and not done.stdout.startswith("HTTP/"):
        raise Failed(f"curl ended with {done.code}: {done.stderr.strip()}")
    return Answer.printed(done.stdout)


def spoke_tls(done: Executed) -> bool:
    """Whether a server took part in a handshake, if only to end it by an alert."""
    try:
        return float(done.stdout) > 0 or " alert " in done.stderr
    except ValueError:
        raise Failed(f"curl printed {done.stdout[:200]!r} instead of a time: {done.stderr.strip()}") from None


def awaits_partner(host: Host, client: str) -> bool:
    """Whether the partner has still to sign what this client is to show."""
    return host.external is not None and client not in host.external.credentials
