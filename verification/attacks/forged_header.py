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
    promise, asked, own = f"a forged {_HEADER} is replaced", host.probe, host.own_clients
    if not asked or not asked.shows_client or not own:
        yield host.skipped(promise, NOT_SHOWN if own else NO_OWN_CLIENT)
        return
    yield host.check(promise, _EXPECTED, partial(forged_header_is_replaced, host, own[0], asked))


def of_client(client: ClientContext) -> Iterator[Check]:
    """Yield the checks of one client's hosts, called by its demo."""
    for host in client.callable_hosts:
        asked = host.probe
        if not asked or not asked.shows_client:
            continue  # clients.py reports such a host
        promise = f"a caller's forged {_HEADER} does not reach {host.name}"
        if not client.settings.demo:
            yield client.skipped(promise, "the callers are your own Pods", host.name)
            continue
        run = partial(forged_header_of_a_caller_is_replaced, client, host, asked)
        yield client.check(promise, _EXPECTED, run, host.look, host.name)


def forged_header_is_replaced(host: HostContext, client: ClientContext, asked: Probe) -> str:
    """Call as an admitted client that claims a different identity."""
    answer = host.endpoint.request(asked.method, asked.path, client.credential(), headers={_HEADER: _FORGED})
    return _judge(answer, asked, client.output)


def forged_header_of_a_caller_is_replaced(client: ClientContext, host: HostContext, asked: Probe) -> str:
    """Call as a declared caller that claims a different client's identity."""
    answer = call(client, host, asked, uuid4().hex, "-H", f"{_HEADER}: {_FORGED}")
    return _judge(answer, asked, client.output)


def _judge(answer: Answer, asked: Probe, client: ClientOutput) -> str:
    seen = asked.judge(answer, client)
    if _MARK in answer.body:
        raise Failed(f"{seen}; but the forged header came through, too")
    return seen
