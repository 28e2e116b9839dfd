"""X-Forwarded-Client-Cert, by which the target's workloads know their clients, sent by the client itself."""

from collections.abc import Iterator
from functools import partial
from uuid import uuid4

from verification.answers import Answer
from verification.checks import Check, Failed, skipped
from verification.clients import awaits_partner, call
from verification.hosts import NO_OWN_CLIENT, group_of, look, own_admitted
from verification.outputs import ClientOutput
from verification.probes import Probe, probe
from verification.stack import DeployedStack

NOT_SHOWN = "only the demo shows what a workload is told of the client"

_HEADER = "X-Forwarded-Client-Cert"
_FORGED = 'By=spiffe://forged/a;Hash=0;Subject="CN=forged.invalid";URI=spiffe://forged.invalid/b'
_MARK = "forged"
_EXPECTED = "200, with the client's own Subject and URI, and no other"


def of_host(stack: DeployedStack, host: str) -> Iterator[Check]:
    """Yield the checks of one host, from outside."""
    group, promise = group_of(stack, host), f"a forged {_HEADER} is replaced"
    asked, own = probe(stack.settings.hosts[host]), own_admitted(stack, host)
    if not asked or not asked.shows_client or not own:
        yield skipped(group, promise, NO_OWN_CLIENT if not own else NOT_SHOWN, host)
        return
    run = partial(forged_header_is_replaced, stack, host, own[0], asked)
    yield Check(group, promise, _EXPECTED, run, look(stack), host)


def of_client(stack: DeployedStack, client: str) -> Iterator[Check]:
    """Yield the checks of one client's hosts, by its demo."""
    group, hosts = f"client {client}", stack.settings.hosts_of(client)
    for host in hosts:
        asked = probe(hosts[host])
        promise = f"a forged {_HEADER} of a caller does not reach {host}"
        if awaits_partner(hosts[host], client) or not asked or not asked.shows_client:
            continue  # the way as such is said to be untried
        if not stack.settings.clients[client].demo:
            yield skipped(group, promise, "its callers are your own Pods", host, client)
            continue
        run = partial(forged_header_of_a_caller_is_replaced, stack, client, host, asked)
        yield Check(group, promise, _EXPECTED, run, look(stack), host, client)


def forged_header_is_replaced(stack: DeployedStack, host: str, client: str, asked: Probe) -> str:
    """Call as an admitted client that claims to be another."""
    credential = stack.clients[client].credential()
    answer = stack.endpoint(host).request(asked.method, asked.path, credential, headers={_HEADER: _FORGED})
    return _judge(answer, asked, stack.outputs.clients[client])


def forged_header_of_a_caller_is_replaced(stack: DeployedStack, client: str, host: str, asked: Probe) -> str:
    """Call as a declared caller that claims to be another client."""
    answer = call(stack, client, host, asked, uuid4().hex, "-H", f"{_HEADER}: {_FORGED}")
    return _judge(answer, asked, stack.outputs.clients[client])


def _judge(answer: Answer, asked: Probe, client: ClientOutput) -> str:
    seen = asked.judge(answer, client)
    if _MARK in answer.body:
        raise Failed(f"{seen}; but the forged header came through, too")
    return seen
