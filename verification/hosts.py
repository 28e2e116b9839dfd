"""What a host of the target promises: whom it admits, and whom and what it refuses."""

import ssl
from collections.abc import Iterator
from functools import partial
from http import HTTPStatus
from uuid import uuid4

from cryptography import x509
from cryptography.x509.oid import NameOID

from components.namespaced_name import NamespacedName
from outputs import TargetOutput
from settings import Platform
from verification import sidecars
from verification.checks import Check, Failed, skipped
from verification.issuing import foreign_credential
from verification.probes import NO_SAFE_METHOD, Probe, probe, refused_probe
from verification.stack import DeployedStack
from verification.tls import (
    ABOUT_CERTIFICATES,
    HANDSHAKE_FAILURE,
    PROTOCOL_VERSION,
    VERSIONS,
    ClientCredential,
    Endpoint,
    alert_of,
)

ANY_PATH = "/*"
REFUSED_BY_ROUTE = "403, or 404 of an APIRule"
NO_OWN_CLIENT = "it admits no client whose credential the stack has"
STRANGER = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "verification.invalid")])
BY_BOTH = f"a TLS alert, by {' and '.join(VERSIONS)}"


def checks(stack: DeployedStack, name: str) -> Iterator[Check]:
    """Yield the checks of one host that the target serves."""
    group = group_of(stack, name)
    run = partial(no_certificate_is_refused, stack, name)
    yield Check(group, "no client certificate is refused", BY_BOTH, run, look(stack), name)
    run = partial(foreign_certificate_is_refused, stack, name)
    yield Check(group, "a certificate of another CA is refused", BY_BOTH, run, look(stack), name)
    asked, admitted = probe(stack.settings.hosts[name]), stack.settings.admitted(name)
    for client in stack.settings.own_clients:
        yield _admission_check(stack, name, client, asked, is_admitted=client in admitted)
    if stack.settings.hosts[name].demo:
        yield _method_check(stack, name, group)
    if own_admitted(stack, name) and ANY_PATH not in stack.settings.hosts[name].paths:
        yield _path_check(stack, name, group)
    if stack.settings.hosts[name].demo:
        yield sidecars.check(stack, "target", group, host=name)


def look(stack: DeployedStack) -> str:
    """Say where to look when a host answers amiss."""
    gateway = gateway_of(stack)
    secrets = f"istioctl proxy-config secret -n {gateway.namespace} svc/{gateway.name}"
    return f"target cluster: kubectl -n {gateway.namespace} logs svc/{gateway.name}; {secrets}"


def look_policy(stack: DeployedStack) -> str:
    """Say where to look when a host refuses, or admits, amiss."""
    policies = f"kubectl -n {gateway_of(stack).namespace} get authorizationpolicies"
    return f"target cluster: {policies}; istioctl x authz check"


def gateway_of(stack: DeployedStack) -> NamespacedName:
    """Return the ingress gateway's Service."""
    return (stack.outputs.target or TargetOutput()).gateway


def group_of(stack: DeployedStack, host: str) -> str:
    """Return the heading of a host."""
    return f"host {host} ({stack.outputs.hosts[host].domain})"


def own_admitted(stack: DeployedStack, host: str) -> list[str]:
    """Return the clients that a host admits and whose credentials the stack has."""
    return [client for client in stack.settings.admitted(host) if client in stack.settings.own_clients]


def trusts_the_stacks_ca(stack: DeployedStack, host: str) -> bool:
    """Tell whether a host looks at certificates of the stack's CA: if it admits a client of it, or nobody."""
    return bool(own_admitted(stack, host)) or not stack.settings.admitted(host)


def admitted_names(stack: DeployedStack, host: str) -> tuple[x509.Name, list[x509.GeneralName]]:
    """Subject and alternative names of an admitted client, best of one whose Subject the stack knows."""
    client = next(iter((*own_admitted(stack, host), *stack.settings.admitted(host))), None)
    if client is None:
        return STRANGER, []
    identity, subject = stack.outputs.clients[client].identity, stack.outputs.clients[client].subject
    kind, _, name = identity.partition(":")
    names: list[x509.GeneralName] = [x509.DNSName(name) if kind == "dns" else x509.UniformResourceIdentifier(identity)]
    try:
        return x509.Name.from_rfc4514_string(subject) if subject else STRANGER, names
    except ValueError:
        raise Failed(f"output clients.{client}.subject: {subject!r} is no Subject") from None


def no_certificate_is_refused(stack: DeployedStack, host: str) -> str:
    """TLS 1.2 and 1.3 without a client certificate."""
    return refused_by_tls(stack.endpoint(host), None)


def foreign_certificate_is_refused(stack: DeployedStack, host: str) -> str:
    """TLS 1.2 and 1.3 with a certificate that says what an admitted client's does, but that another CA signed."""
    subject, names = admitted_names(stack, host)
    return refused_by_tls(stack.endpoint(host), foreign_credential(subject, *names))


def client_is_admitted(stack: DeployedStack, host: str, client: str, asked: Probe) -> str:
    """Show a client's own credential, from where this runs."""
    answer = stack.endpoint(host).request(asked.method, asked.path, stack.clients[client].credential())
    return asked.judge(answer, stack.outputs.clients[client])


def client_is_refused(stack: DeployedStack, host: str, client: str, asked: Probe) -> str:
    """Send an allowed request with the credential of a client that this host does not admit."""
    return denied(stack.endpoint(host), asked, stack.clients[client].credential())


def method_is_refused(stack: DeployedStack, host: str, client: str, asked: Probe) -> str:
    """Use a method that the route does not allow, with the credential of an admitted client."""
    answer = stack.endpoint(host).request(asked.method, asked.path, stack.clients[client].credential())
    # An APIRule has no route for other methods; a VirtualService and its AuthorizationPolicy forbid them.
    by_api_rule = stack.settings.platform == Platform.KYMA and answer.without_route
    if answer.status != HTTPStatus.FORBIDDEN and not by_api_rule:
        raise Failed(f"{asked.method} got {answer.said}")
    return f"{asked.method}: {answer.status}"


def path_is_refused(stack: DeployedStack, host: str, client: str, method: str) -> str:
    """Ask for a path that the route does not allow, with the credential of an admitted client."""
    path = f"/kyma-mtls-verification-{uuid4().hex[:8]}"
    answer = stack.endpoint(host).request(method, path, stack.clients[client].credential())
    by_api_rule = stack.settings.platform == Platform.KYMA and answer.without_route
    if not answer.denied and not by_api_rule:
        raise Failed(f"{method} {path} got {answer.said}")
    return f"{method} {path}: {answer.status}"


def denied(endpoint: Endpoint, asked: Probe, credential: ClientCredential) -> str:
    """Ask, and return how the gateway's policy, or TLS, refused it; raise Failed if neither did."""
    # By TLS 1.2 a refusal is a part of the handshake: no answer can be lost to it.
    version = next((each for each in VERSIONS.values() if _reads_certificates(endpoint, each)), None)
    try:
        answer = endpoint.request(asked.method, asked.path, credential, version)
    except ssl.SSLError as error:
        alert = alert_of(error)
        if alert not in ABOUT_CERTIFICATES:
            raise Failed(f"alert {alert}, which is not about the certificate") from None
        return f"alert {alert}"
    if not answer.denied:
        raise Failed(f"got {answer.said}")
    return f"{answer.status}"


def refused_by_tls(endpoint: Endpoint, credential: ClientCredential | None, alpn: tuple[str, ...] = ()) -> str:
    """Return the alerts by which TLS 1.2 and 1.3 refuse a credential.

    Raise Failed unless both do; one of them may be out of use altogether.
    """
    alerts, is_refused = [], False
    for name, version in VERSIONS.items():
        try:
            alert = endpoint.alert(credential, version, alpn)
        except OSError as error:
            raise Failed(f"{name}: {error}, which is no refusal by TLS") from None
        if not alert:
            raise Failed(f"{name}: the handshake succeeded")
        if alert == PROTOCOL_VERSION:
            alerts.append(f"{name}: not offered")
            continue
        # By TLS 1.2, Envoy refuses so whoever shows no certificate, but other servers whoever has no cipher of theirs.
        is_for_want_of_one = alert == HANDSHAKE_FAILURE and not credential and _reads_certificates(endpoint, version)
        if alert not in ABOUT_CERTIFICATES and not is_for_want_of_one:
            raise Failed(f"{name}: alert {alert}, which is not about the certificate")
        alerts.append(f"{name}: {alert}")
        is_refused = True
    if not is_refused:
        raise Failed(f"no version of TLS comes about: {', '.join(alerts)}")
    return ", ".join(alerts)


def _reads_certificates(endpoint: Endpoint, version: ssl.TLSVersion) -> bool:
    """Tell whether a handshake by this version gets as far as the client's certificate: it refuses a stranger's so."""
    try:
        alert = endpoint.alert(foreign_credential(STRANGER), version)
    except OSError:
        return False
    return alert is None or alert in ABOUT_CERTIFICATES


def _admission_check(stack: DeployedStack, host: str, client: str, asked: Probe | None, *, is_admitted: bool) -> Check:
    group = group_of(stack, host)
    promise = f"client {client} is {'admitted' if is_admitted else 'refused'}"
    if not asked:
        return skipped(group, promise, NO_SAFE_METHOD, host, client)
    if is_admitted:
        run, expected = partial(client_is_admitted, stack, host, client, asked), asked.expected
        return Check(group, promise, expected, run, look(stack), host, client)
    run = partial(client_is_refused, stack, host, client, asked)
    return Check(group, promise, "403 of the gateway's policy, or a TLS alert", run, look_policy(stack), host, client)


def _method_check(stack: DeployedStack, name: str, group: str) -> Check:
    promise = "a method that is not allowed is refused"
    asked = refused_probe(stack.settings.hosts[name])
    own = own_admitted(stack, name)
    if not asked:
        return skipped(group, promise, "its route allows every method", name)
    if not own:
        return skipped(group, promise, NO_OWN_CLIENT, name)
    run = partial(method_is_refused, stack, name, own[0], asked)
    return Check(group, promise, REFUSED_BY_ROUTE, run, look_policy(stack), name)


def _path_check(stack: DeployedStack, name: str, group: str) -> Check:
    asked = probe(stack.settings.hosts[name])
    run = partial(path_is_refused, stack, name, own_admitted(stack, name)[0], asked.method if asked else "GET")
    return Check(group, "a path that is not allowed is refused", REFUSED_BY_ROUTE, run, look_policy(stack), name)
