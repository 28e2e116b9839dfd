"""One host asked for in the name of another, and one name written in several ways.

TLS names a host (SNI) before HTTP does (Host, :authority); a gateway that looks at one only can be fooled by the other.
"""

from collections.abc import Iterator
from functools import partial

from settings import Platform
from verification.attacks.certificates import unlisted_credential
from verification.checks import READS_KEY, Check, Failed, skipped
from verification.hosts import NO_OWN_CLIENT, group_of, look_policy, own_admitted, trusts_the_stacks_ca
from verification.probes import NO_SAFE_METHOD, Probe, probe
from verification.stack import DeployedStack
from verification.tls import ClientCredential, Endpoint

_KYMA = "verification"
_FRONTED = "a request in the name of another host does not reach it"
_SPELLED = "its name is the same in capitals and with a port"


def checks(stack: DeployedStack, host: str) -> Iterator[Check]:
    """Yield the checks of one host."""
    group, asked = group_of(stack, host), probe(stack.settings.hosts[host])
    if not asked:
        yield skipped(group, _SPELLED, NO_SAFE_METHOD, host)
        return
    own = own_admitted(stack, host)
    if own:
        run = partial(spellings_are_served, stack, host, own[0], asked)
        yield Check(group, _SPELLED, asked.expected, run, look_policy(stack), host)
    else:
        yield skipped(group, _SPELLED, NO_OWN_CLIENT, host)
    if other := _front(stack, host):
        yield _fronting(stack, host, other, asked)
    if stack.outputs.gateway:
        run = partial(kyma_gateway_is_no_front, stack, host, asked)
        promise = "a request in the name of the Kyma gateway does not reach it"
        yield Check(group, promise, "403 or 404 of Envoy", run, look_policy(stack), host)


def spellings_are_served(stack: DeployedStack, host: str, client: str, asked: Probe) -> str:
    """Ask for the host's name as other clients write it, with the credential of an admitted client."""
    endpoint, credential = stack.endpoint(host), stack.clients[client].credential()
    spelled = [endpoint.domain.upper()]
    if stack.settings.platform == Platform.ISTIO:  # the policy of an APIRule knows no port
        spelled.append(f"{endpoint.domain}:443")
    for name in spelled:
        answer = endpoint.request(asked.method, asked.path, credential, host=name)
        try:
            asked.judge(answer, stack.outputs.clients[client])
        except Failed as failure:
            raise Failed(f"Host {name}: {failure}") from None
    return f"served as {' and '.join(spelled)}"


def fronting_is_refused(stack: DeployedStack, host: str, other: str, client: str, asked: Probe) -> str:
    """SNI of another host, Host of this one; with the credential of a client that this host does not admit."""
    credential = stack.clients[client].credential() if client else unlisted_credential(stack)
    return _refused(stack.endpoint(other), stack.outputs.hosts[host].domain, asked, credential)


def kyma_gateway_is_no_front(stack: DeployedStack, host: str, asked: Probe) -> str:
    """SNI of the Kyma gateway, which asks for no client certificate, and Host of this one."""
    gateway = stack.outputs.gateway
    if not gateway:
        raise Failed("output gateway is gone")
    front = Endpoint(f"{_KYMA}.{gateway.domain}", gateway.address or "", gateway.ca_certificate)
    return _refused(front, stack.outputs.hosts[host].domain, asked, None)


def _refused(front: Endpoint, domain: str, asked: Probe, credential: ClientCredential | None) -> str:
    seen = set()
    for name in (domain, f"{domain}:443", domain.upper(), f"{domain}."):
        answers = {"": front.request(asked.method, asked.path, credential, host=name)}
        if name == domain:
            answers[" by HTTP/2"] = front.request_http2(asked.method, asked.path, credential, host=name)
        for how, answer in answers.items():
            if not answer.refused:
                raise Failed(f"SNI {front.domain}, Host {name}{how}: got {answer.said}")
            seen.add(str(answer.status))
    return f"SNI {front.domain}: {' and '.join(sorted(seen))}"


def _front(stack: DeployedStack, host: str) -> str:
    """Return a host in whose name this one is asked for: one that lets clients of the stack past TLS."""
    others = [other for other in stack.settings.served if other != host and trusts_the_stacks_ca(stack, other)]
    return next(iter(others), "")


def _fronting(stack: DeployedStack, host: str, other: str, asked: Probe) -> Check:
    admitted = stack.settings.admitted(host)
    client = next((each for each in own_admitted(stack, other) if each not in admitted), "")
    if not client and stack.read_only:
        return skipped(group_of(stack, host), _FRONTED, READS_KEY, host)
    run = partial(fronting_is_refused, stack, host, other, client, asked)
    return Check(group_of(stack, host), _FRONTED, "403 or 404 of Envoy", run, look_policy(stack), host)
