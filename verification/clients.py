"""Promises of a client: its callers reach each host through the egress gateway, and in no other way."""

import shlex
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from uuid import uuid4

from settings import NetworkPolicy
from verification import closed, sidecars
from verification.calls import NOT_CONNECTED, SECONDS, call, spoke_tls
from verification.checks import Check, Failed
from verification.context import ClientContext, HostContext
from verification.probes import NO_SAFE_METHOD, Probe

NO_HOST_TO_CALL = "the client can call no host, so a refusal would look like a failure"

_DIRECT = "a direct TLS connection past the egress gateway is refused"
_POLICY_LOOK = "kubectl get networkpolicies -A"


def checks(client: ClientContext) -> Iterator[Check]:
    """Yield the checks of one client."""
    if not client.hosts:
        yield client.skipped("the client reaches its hosts", "no host admits it")
        if client.name in client.stack.settings.present_clients:
            yield from closed.checks(client)
        return
    if client.settings.is_partner:
        reason = f"only the partner has its key; admitted by {', '.join(host.name for host in client.hosts)}"
        yield client.skipped("the partner's certificate is admitted", reason)
        return
    if client.settings.away:
        yield client.skipped("the client reaches its hosts", "its cluster is away")
        return
    for host in client.hosts:
        yield _egress_check(client, host)
    if client.settings.demo:
        yield _direct_check(client)
        yield sidecars.of_client(client)
    yield from closed.checks(client)


def plain_http_leaves_through_egress_gateway(client: ClientContext, host: HostContext, probe: Probe) -> str:
    """Call by plain HTTP from the demo's Pod; find the request in the egress gateway's log."""
    marker, start = uuid4().hex, datetime.now(UTC)
    answer = call(client, host, probe, marker)
    seen = probe.judge(answer, client.output)
    try:
        line = client.cluster.wait_for_log(marker, start)
    except Failed as failure:
        if not client.output.access_log:
            return f"{seen}; not seen in the egress gateway's log, which the stack does not configure"
        raise Failed(f"{seen}, but {failure}") from None
    if "route_not_found" in line:
        raise Failed(f"got {answer.status} of the egress gateway itself, which has no route for this request")
    return f"{seen}; logged by the egress gateway"


def direct_connection_is_refused(client: ClientContext, host: HostContext, probe: Probe) -> str:
    """Connect by HTTPS from the demo's Pod past the egress gateway: no TLS handshake may begin."""
    # By TLS 1.3, a handshake succeeds before the server refuses a client without a certificate.
    quiet = ("-ksS", "--tlsv1.3", "--max-time", SECONDS, "-o", "/dev/null", "-w", "%{time_appconnect}")
    done = client.cluster.curl(*quiet, f"https://{host.domain}:{host.port}{probe.path}")
    if spoke_tls(done):
        raise Failed(f"{host.name} could be reached by TLS directly (curl ended with {done.code})")
    if done.code not in NOT_CONNECTED:
        raise Failed(f"curl ended with {done.code}, which is no refused connection: {done.stderr.strip()}")
    answer = call(client, host, probe, uuid4().hex)
    probe.judge(answer, client.output)
    return f"{host.name}: curl ended with {done.code} directly; {answer.status} through the egress gateway"


def _egress_check(client: ClientContext, host: HostContext) -> Check:
    promise, probe = f"plain HTTP to {host.name} leaves through the egress gateway", host.probe
    if host.awaits_partner(client.name):
        reason = f"the partner has not signed the output signingRequests.{host.name}.{client.name} yet"
        return client.skipped(promise, reason, host.name)
    if client.settings.callers is not None:
        options, path = (probe.options, probe.path) if probe else (("-i",), "/")
        curl = shlex.join(("curl", "-sS", *options, f"http://{host.domain}{path}"))
        reason = f"the callers are your own Pods; run in one of {', '.join(client.settings.callers)}: {curl}"
        return client.skipped(promise, reason, host.name)
    if not probe:
        return client.skipped(promise, NO_SAFE_METHOD, host.name)
    run = partial(plain_http_leaves_through_egress_gateway, client, host, probe)
    logged = ", and a line in the egress gateway's log" if client.output.access_log else ""
    namespace, gateway = client.gateway.namespace, f"svc/{client.gateway.name}"
    look = f"kubectl -n {namespace} logs {gateway}; istioctl proxy-config clusters -n {namespace} {gateway}"
    return client.check(promise, f"{probe.expected}{logged}", run, client.look(look), host.name)


def _direct_check(client: ClientContext) -> Check:
    if client.settings.network_policy == NetworkPolicy.NONE:
        return client.skipped(_DIRECT, "networkPolicy is none: Pods may connect directly")
    found = client.host_to_call()
    if not found:
        return client.skipped(_DIRECT, NO_HOST_TO_CALL)
    host, probe = found
    expected = "no TLS handshake directly, and an answer through the egress gateway"
    run = partial(direct_connection_is_refused, client, host, probe)
    return client.check(_DIRECT, expected, run, client.look(_POLICY_LOOK), host.name)
