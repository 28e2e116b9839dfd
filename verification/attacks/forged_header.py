"""X-Forwarded-Client-Cert, by which workloads of the target identify their clients, forged by the client itself."""

from collections.abc import Iterator
from functools import partial
from uuid import uuid4

from outputs import ClientOutput
from verification.answers import Answer
from verification.calls import call
from verification.checks import Check, Failed
from verification.context import ClientContext, HostContext
from verification.hosts import NO_OWN_CLIENT
from verification.probes import Probe

NOT_SHOWN = "only the demo shows which headers its workload receives"

_HEADER = "X-Forwarded-Client-Cert"
_FORGED = 'By=spiffe://forged/a;Hash=0;Subject="CN=forged.invalid";URI=spiffe://forged.invalid/b'
_MARK = "forged"
_EXPECTED = "200, with the client's own Subject and URI only"


def of_host(host: HostContext) -> Iterator[Check]:
    """Yield the check of one host, called from this machine."""
    promise, probe, own = f"a forged {_HEADER} is replaced", host.probe, host.admitted_own_clients
    if not probe or not probe.shows_client or not own:
        yield host.skipped(promise, NOT_SHOWN if own else NO_OWN_CLIENT)
        return
    yield host.check(promise, _EXPECTED, partial(forged_header_is_replaced, host, own[0], probe))


def of_client(client: ClientContext) -> Iterator[Check]:
    """Yield the checks of one client's hosts, called by its demo."""
    for host in client.callable_hosts:
        probe = host.probe
        if not probe or not probe.shows_client:
            continue  # clients.py reports such a host
        promise = f"a caller's forged {_HEADER} does not reach {host.name}"
        if not client.settings.demo:
            yield client.skipped(promise, "the callers are your own Pods", host.name)
            continue
        run = partial(forged_header_of_a_caller_is_replaced, client, host, probe)
        yield client.check(promise, _EXPECTED, run, host.look, host.name)


def forged_header_is_replaced(host: HostContext, client: ClientContext, probe: Probe) -> str:
    """Call as an admitted client that claims a different identity."""
    answer = host.endpoint.request(probe.method, probe.path, client.credential(), headers={_HEADER: _FORGED})
    return _judge(answer, probe, client.output)


def forged_header_of_a_caller_is_replaced(client: ClientContext, host: HostContext, probe: Probe) -> str:
    """Call as a declared caller that claims a different client's identity."""
    answer = call(client, host, probe, uuid4().hex, "-H", f"{_HEADER}: {_FORGED}")
    return _judge(answer, probe, client.output)


def _judge(answer: Answer, probe: Probe, client: ClientOutput) -> str:
    seen = probe.judge(answer, client)
    if _MARK in answer.body:
        raise Failed(f"{seen}; but the forged header came through, too")
    return seen
