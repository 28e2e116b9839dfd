"""Promises of a host that the target serves: which clients, methods and paths it admits, and which it refuses."""

from collections.abc import Iterator
from functools import partial
from uuid import uuid4

from cryptography import x509

from verification import sidecars
from verification.answers import Answer
from verification.checks import Check, Failed
from verification.context import ClientContext, HostContext
from verification.issuing import foreign_credential
from verification.probes import NO_SAFE_METHOD, Probe, misreadable_path, refused_probe, refuses_a_method
from verification.refusals import BY_POLICY_OR_TLS, BY_TLS, STRANGER, denied, refused_by_tls

ANY_PATH = "/*"
NO_OWN_CLIENT = "the host admits no client whose credential the stack has"

_NO_CERTIFICATE = "a connection without a client certificate is refused"
_FOREIGN_CERTIFICATE = "a client certificate of an untrusted CA is refused"
_METHOD = "a method that is not allowed is refused"
_PATH = "a path that is not allowed is refused"
_MISREAD = "a path that a server may decode to another one is refused"
_BY_ROUTE = "403, or 404 of an APIRule"
ONLY_UNSAFE = (
    "the host's route refuses only methods that may change something, and the verification sends none of them to your "
    "Service"
)


def checks(host: HostContext) -> Iterator[Check]:
    """Yield the checks of one host."""
    yield host.check(_NO_CERTIFICATE, BY_TLS, partial(no_certificate_is_refused, host))
    yield host.check(_FOREIGN_CERTIFICATE, BY_TLS, partial(foreign_certificate_is_refused, host))
    for name in host.stack.settings.present_clients:
        yield _admission_check(host, ClientContext(host.stack, name))
    yield _method_check(host)
    yield from _path_checks(host)
    if host.settings.demo:
        yield sidecars.of_host(host)


def admitted_names(host: HostContext) -> tuple[x509.Name, list[x509.GeneralName]]:
    """Return Subject and alternative names of an admitted client; raise Failed if an output has no valid Subject.

    Prefer a client of the stack: the stack does not know a partner's Subject.
    """
    admitted = [ClientContext(host.stack, name) for name in host.stack.settings.admitted(host.name)]
    client = next(iter((*host.admitted_own_clients, *admitted)), None)
    if client is None:
        return STRANGER, []
    identity, subject = client.output.identity, client.output.subject
    kind, _, name = identity.partition(":")
    names: list[x509.GeneralName] = [x509.DNSName(name) if kind == "dns" else x509.UniformResourceIdentifier(identity)]
    try:
        return x509.Name.from_rfc4514_string(subject) if subject else STRANGER, names
    except ValueError:
        raise Failed(f"output clients.{client.name}.subject: {subject!r} is no Subject") from None


def no_certificate_is_refused(host: HostContext) -> str:
    """Connect by TLS 1.2 and 1.3 without a client certificate."""
    return refused_by_tls(host.endpoint, None)


def foreign_certificate_is_refused(host: HostContext) -> str:
    """Connect by TLS 1.2 and 1.3 with a copy of an admitted client's certificate that an untrusted CA signed."""
    subject, names = admitted_names(host)
    return refused_by_tls(host.endpoint, foreign_credential(subject, *names))


def client_is_admitted(host: HostContext, client: ClientContext, probe: Probe) -> str:
    """Send an allowed request with the client's own credential, from this machine."""
    return probe.judge(_answer(host, client, probe.method, probe.path), client.output)


def client_is_refused(host: HostContext, client: ClientContext, probe: Probe) -> str:
    """Send an allowed request with the credential of a client that the host does not admit."""
    return denied(host.endpoint, probe, client.credential())


def method_is_refused(host: HostContext, client: ClientContext, probe: Probe) -> str:
    """Send a method that the route does not allow, with the credential of an admitted client."""
    return _refused(host, client, probe.method, probe.path, probe.method)


def path_is_refused(host: HostContext, client: ClientContext, method: str) -> str:
    """Request a path that the route does not allow, with the credential of an admitted client."""
    path = f"/kyma-mtls-verification-{uuid4().hex[:8]}"
    return _refused(host, client, method, path, f"{method} {path}")


def misreadable_path_is_refused(host: HostContext, client: ClientContext, method: str, path: str) -> str:
    """Request a path with an encoded separator, by which a server may leave the prefix that is allowed."""
    answer = _answer(host, client, method, path)
    if not (answer.refused_by_route or answer.denied):
        raise Failed(f"{method} {path} got {answer.summary}")
    return f"{method} {path}: {answer.status}"


def _refused(host: HostContext, client: ClientContext, method: str, path: str, described: str) -> str:
    """Send a request over a new connection, and over one that served an allowed request: both must be refused."""
    answers = [("", _answer(host, client, method, path))]
    if probe := host.probe:
        allowed, *after = host.endpoint.requests(client.credential(), (probe.method, probe.path), (method, path))
        answers += [(f" after {allowed.status} over the same connection", answer) for answer in after]
    for how, answer in answers:
        # An APIRule has no route for other methods and paths (kyma-project/api-gateway: internal/processing/processors/
        # v2alpha1/virtualservice); the AuthorizationPolicy of a stack's own VirtualService forbids them.
        if not answer.denied and not (host.routes_by_api_rule and answer.without_route):
            raise Failed(f"{described} got {answer.summary}{how}")
    return f"{described}: {answers[0][1].status}{', also over an open connection' if answers[1:] else ''}"


def _answer(host: HostContext, client: ClientContext, method: str, path: str) -> Answer:
    return host.endpoint.request(method, path, client.credential())


def _admission_check(host: HostContext, client: ClientContext) -> Check:
    is_admitted, probe = client.name in host.stack.settings.admitted(host.name), host.probe
    promise = f"client {client.name} is {'admitted' if is_admitted else 'refused'}"
    if not probe:
        return host.skipped(promise, NO_SAFE_METHOD, client.name)
    if is_admitted:
        run = partial(client_is_admitted, host, client, probe)
        return host.check(promise, probe.expected, run, client=client.name)
    run = partial(client_is_refused, host, client, probe)
    return host.check(promise, BY_POLICY_OR_TLS, run, host.look_policy, client.name)


def _method_check(host: HostContext) -> Check:
    probe = refused_probe(host.settings)
    if not probe:
        reason = ONLY_UNSAFE if refuses_a_method(host.settings) else "the host's route allows every method"
        return host.skipped(_METHOD, reason)
    if not host.admitted_own_clients:
        return host.skipped(_METHOD, NO_OWN_CLIENT)
    run = partial(method_is_refused, host, host.admitted_own_clients[0], probe)
    return host.check(_METHOD, _BY_ROUTE, run, host.look_policy)


def _path_checks(host: HostContext) -> Iterator[Check]:
    if ANY_PATH in host.settings.paths:
        return
    misreadable, own = misreadable_path(host.settings), host.admitted_own_clients
    method = host.probe.method if host.probe else "GET"
    if not own:
        yield host.skipped(_PATH, NO_OWN_CLIENT)
        if misreadable:
            yield host.skipped(_MISREAD, NO_OWN_CLIENT)
        return
    yield host.check(_PATH, _BY_ROUTE, partial(path_is_refused, host, own[0], method), host.look_policy)
    if misreadable:
        run = partial(misreadable_path_is_refused, host, own[0], method, misreadable)
        yield host.check(_MISREAD, "403 of the gateway itself", run, host.look_policy)
