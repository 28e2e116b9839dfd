"""SNI of one host with Host of a different one, and one domain in several spellings.

TLS names a host (SNI) before HTTP does (Host, :authority). A client can fool a gateway that looks at one of them only.
"""

from collections.abc import Iterator
from functools import partial

from settings import Platform
from verification.attacks.certificates import unlisted_credential
from verification.checks import READS_KEY, Check, Failed
from verification.context import ClientContext, HostContext
from verification.hosts import NO_OWN_CLIENT
from verification.probes import NO_SAFE_METHOD, Probe
from verification.refusals import BY_ENVOY
from verification.tls import ClientCredential, Endpoint

_KYMA = "verification"
_SPELLED = "the domain is served in capitals and with a port"
_FRONTED = "a request with the SNI of a different host is refused"
_FRONTED_BY_KYMA = "a request with the SNI of the Kyma gateway is refused"


def checks(host: HostContext) -> Iterator[Check]:
    """Yield the checks of one host."""
    probe = host.probe
    if not probe:
        yield host.skipped(_SPELLED, NO_SAFE_METHOD)
        return
    if host.admitted_own_clients:
        run = partial(spellings_are_served, host, host.admitted_own_clients[0], probe)
        yield host.check(_SPELLED, probe.expected, run, host.look_policy)
    else:
        yield host.skipped(_SPELLED, NO_OWN_CLIENT)
    if front := _front(host):
        yield _fronting(host, front, probe)
    if host.stack.outputs.gateway:
        run = partial(kyma_gateway_is_no_front, host, probe)
        yield host.check(_FRONTED_BY_KYMA, BY_ENVOY, run, host.look_policy)


def spellings_are_served(host: HostContext, client: ClientContext, probe: Probe) -> str:
    """Ask for the domain as HTTP clients may spell it, with the credential of an admitted client."""
    endpoint, credential = host.endpoint, client.credential()
    spelled = [endpoint.domain.upper()]
    if host.stack.settings.platform == Platform.ISTIO:  # an APIRule's policy allows no Host with a port
        spelled.append(f"{endpoint.domain}:443")
    for name in spelled:
        answer = endpoint.request(probe.method, probe.path, credential, host=name)
        try:
            probe.judge(answer, client.output)
        except Failed as failure:
            raise type(failure)(f"Host {name}: {failure}") from None
    return f"served as {' and '.join(spelled)}"


def fronting_is_refused(host: HostContext, front: HostContext, client: ClientContext | None, probe: Probe) -> str:
    """Send SNI of the front and Host of this host, with the credential of a client that this host does not admit.

    client: that client; without one, the stack's CA signs a credential that no host lists
    """
    credential = client.credential() if client else unlisted_credential(host.stack)
    return _refused(front.endpoint, host.domain, probe, credential)


def kyma_gateway_is_no_front(host: HostContext, probe: Probe) -> str:
    """Send SNI of the Kyma gateway, which asks for no client certificate, and Host of this host."""
    gateway = host.stack.outputs.gateway
    if not gateway:
        raise Failed("the stack has no output gateway")
    front = Endpoint(f"{_KYMA}.{gateway.domain}", gateway.address or "", gateway.ca_certificate)
    return _refused(front, host.domain, probe, None)


def _refused(front: Endpoint, domain: str, probe: Probe, credential: ClientCredential | None) -> str:
    seen = set()
    for name in (domain, f"{domain}:443", domain.upper(), f"{domain}."):
        answers = {"": front.request(probe.method, probe.path, credential, host=name)}
        if name == domain:
            answers[" by HTTP/2"] = front.request_http2(probe.method, probe.path, credential, host=name)
        for how, answer in answers.items():
            if not answer.refused:
                raise Failed(f"SNI {front.domain}, Host {name}{how}: got {answer.summary}")
            seen.add(str(answer.status))
    return f"SNI {front.domain}: {' and '.join(sorted(seen))}"


def _front(host: HostContext) -> HostContext | None:
    """Return a different host whose TLS lets each client of the stack pass; None if there is none."""
    hosts = [HostContext(host.stack, name) for name in host.stack.settings.served if name != host.name]
    return next((each for each in hosts if each.trusts_the_stacks_ca and not each.names_are_checked_by_tls), None)


def _fronting(host: HostContext, front: HostContext, probe: Probe) -> Check:
    admitted = host.stack.settings.admitted(host.name)
    client = next((each for each in front.admitted_own_clients if each.name not in admitted), None)
    if not client and host.stack.read_only:
        return host.skipped(_FRONTED, READS_KEY)
    run = partial(fronting_is_refused, host, front, client, probe)
    return host.check(_FRONTED, BY_ENVOY, run, host.look_policy)
