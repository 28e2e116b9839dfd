"""Promises of a host that the target serves: which clients, methods and paths it admits, and which it refuses."""

from collections.abc import Iterator
from functools import partial
from http import HTTPStatus
from uuid import uuid4

from cryptography import x509

from verification import sidecars
from verification.answers import Answer
from verification.checks import Check, Failed
from verification.context import ClientContext, HostContext
from verification.issuing import foreign_credential
from verification.probes import NO_SAFE_METHOD, Probe, refused_probe
from verification.refusals import BY_POLICY_OR_TLS, BY_TLS, STRANGER, denied, refused_by_tls

ANY_PATH = "/*"
NO_OWN_CLIENT = "the host admits no client whose credential the stack has"

_NO_CERTIFICATE = "a connection without a client certificate is refused"
_FOREIGN_CERTIFICATE = "a client certificate of an untrusted CA is refused"
_METHOD = "a method that is not allowed is refused"
_PATH = "a path that is not allowed is refused"
_BY_ROUTE = "403, or 404 of an APIRule"


def checks(host: HostContext) -> Iterator[Check]:
    """Yield the checks of one host."""
    yield host.check(_NO_CERTIFICATE, BY_TLS, partial(no_certificate_is_refused, host))
    yield host.check(_FOREIGN_CERTIFICATE, BY_TLS, partial(foreign_certificate_is_refused, host))
    for name in host.stack.settings.present_clients:
        yield _admission_check(host, ClientContext(host.stack, name))
    if host.settings.demo:
        yield _method_check(host)
    if host.admitted_own_clients and ANY_PATH not in host.settings.paths:
        probe = host.probe
        run = partial(path_is_refused, host, host.admitted_own_clients[0], probe.method if probe else "GET")
        yield host.check(_PATH, _BY_ROUTE, run, host.look_policy)
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
    answer = _answer(host, client, probe.method, probe.path)
    # An APIRule has no route for other methods (kyma-project/api-gateway: internal/processing/processors/v2alpha1/
    # virtualservice); the AuthorizationPolicy of a stack's own VirtualService forbids them.
    if answer.status != HTTPStatus.FORBIDDEN and not (host.routes_by_api_rule and answer.without_route):
        raise Failed(f"{probe.method} got {answer.summary}")
    return f"{probe.method}: {answer.status}"


def path_is_refused(host: HostContext, client: ClientContext, method: str) -> str:
    """Request a path that the route does not allow, with the credential of an admitted client."""
    path = f"/kyma-mtls-verification-{uuid4().hex[:8]}"
    answer = _answer(host, client, method, path)
    if not answer.denied and not (host.routes_by_api_rule and answer.without_route):
        raise Failed(f"{method} {path} got {answer.summary}")
    return f"{method} {path}: {answer.status}"


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
        return host.skipped(_METHOD, "the host's route allows every method")
    if not host.admitted_own_clients:
        return host.skipped(_METHOD, NO_OWN_CLIENT)
    run = partial(method_is_refused, host, host.admitted_own_clients[0], probe)
    return host.check(_METHOD, _BY_ROUTE, run, host.look_policy)
