"""What a host of the target promises: whom it admits, and whom and what it refuses."""

import ssl
from collections.abc import Iterable, Iterator
from functools import partial
from http import HTTPStatus

from cryptography import x509
from cryptography.x509.oid import NameOID

from settings import Platform
from verification.checks import Check, Failed, skipped
from verification.probes import NO_SAFE_METHOD, Probe, probe, refused_probe
from verification.stack import DeployedStack
from verification.tls import VERSIONS, ClientCredential, Endpoint, alert_of, foreign_credential

_LOOK = "target cluster: kubectl -n istio-system logs -l istio=ingressgateway; istioctl proxy-config secret"
_LOOK_POLICY = "target cluster: kubectl -n istio-system get authorizationpolicies; istioctl x authz check"
_STRANGER = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "verification.invalid")])


def checks(stack: DeployedStack, name: str) -> Iterator[Check]:
    """What is tried on one host that the target serves."""
    group = f"host {name} ({stack.outputs.hosts[name].domain})"
    yield Check(group, "no client certificate is refused", partial(no_certificate_is_refused, stack, name), _LOOK, name)
    yield Check(
        group,
        "a certificate of another CA is refused",
        partial(foreign_certificate_is_refused, stack, name),
        _LOOK,
        name,
    )
    asked, admitted = probe(stack.settings.hosts[name]), stack.settings.admitted(name)
    for client in stack.settings.own_clients:
        promise = f"client {client} is {'admitted' if client in admitted else 'refused'}"
        run, look = (client_is_admitted, _LOOK) if client in admitted else (client_is_refused, _LOOK_POLICY)
        if asked:
            yield Check(group, promise, partial(run, stack, name, client, asked), look, name, client)
        else:
            yield skipped(group, promise, NO_SAFE_METHOD, name, client)
    if stack.settings.hosts[name].demo:
        yield _method_check(stack, name, group)


def no_certificate_is_refused(stack: DeployedStack, host: str) -> str:
    """TLS 1.2 and 1.3 without a client certificate."""
    return _refused(stack.endpoint(host), None)


def foreign_certificate_is_refused(stack: DeployedStack, host: str) -> str:
    """TLS 1.2 and 1.3 with a certificate that says what an admitted client's does, but that another CA signed."""
    subject, names = _admitted_names(stack, host)
    return _refused(stack.endpoint(host), foreign_credential(subject, *names))


def client_is_admitted(stack: DeployedStack, host: str, client: str, asked: Probe) -> str:
    """A client's own credential, from where this runs."""
    answer = stack.endpoint(host).request(asked.method, asked.path, stack.clients[client].credential())
    return asked.judge(answer, stack.outputs.clients[client])


def client_is_refused(stack: DeployedStack, host: str, client: str, asked: Probe) -> str:
    """The credential of a client of the stack that this host does not admit, and a request that others are allowed."""
    credential = stack.clients[client].credential()
    try:
        # By TLS 1.2, in which a refusal is a part of the handshake: no answer can be lost to it.
        answer = stack.endpoint(host).request(asked.method, asked.path, credential, ssl.TLSVersion.TLSv1_2)
    except ssl.SSLError as error:
        return f"alert {alert_of(error)}"
    if not answer.denied:
        raise Failed(f"got {answer.said}")
    return f"{answer.status}"


def method_is_refused(stack: DeployedStack, host: str, client: str, asked: Probe) -> str:
    """A method that the route does not allow, with the credential of an admitted client."""
    answer = stack.endpoint(host).request(asked.method, asked.path, stack.clients[client].credential())
    # An APIRule has no route for other methods; a VirtualService and its AuthorizationPolicy forbid them.
    by_api_rule = stack.settings.platform == Platform.KYMA and answer.without_route
    if answer.status != HTTPStatus.FORBIDDEN and not by_api_rule:
        raise Failed(f"{asked.method} got {answer.said}")
    return f"{asked.method}: {answer.status}"


def _method_check(stack: DeployedStack, name: str, group: str) -> Check:
    promise = "a method that is not allowed is refused"
    asked = refused_probe(stack.settings.hosts[name])
    own = _own(stack, stack.settings.admitted(name))
    if not asked:
        return skipped(group, promise, "its route allows every method", name)
    if not own:
        return skipped(group, promise, "it admits no client whose credential the stack has", name)
    return Check(group, promise, partial(method_is_refused, stack, name, own[0], asked), _LOOK_POLICY, name)


def _admitted_names(stack: DeployedStack, host: str) -> tuple[x509.Name, list[x509.GeneralName]]:
    """Subject and alternative names of an admitted client, best of one whose Subject the stack knows."""
    admitted = stack.settings.admitted(host)
    client = next(iter((*_own(stack, admitted), *admitted)), None)
    if client is None:
        return _STRANGER, []
    identity, subject = stack.outputs.clients[client].identity, stack.outputs.clients[client].subject
    kind, _, name = identity.partition(":")
    names: list[x509.GeneralName] = [x509.DNSName(name) if kind == "dns" else x509.UniformResourceIdentifier(identity)]
    try:
        return x509.Name.from_rfc4514_string(subject) if subject else _STRANGER, names
    except ValueError:
        raise Failed(f"output clients.{client}.subject: {subject!r} is no Subject") from None


def _own(stack: DeployedStack, clients: Iterable[str]) -> list[str]:
    return [client for client in clients if client in stack.settings.own_clients]


def _refused(endpoint: Endpoint, credential: ClientCredential | None) -> str:
    alerts = []
    for name, version in VERSIONS.items():
        try:
            alert = endpoint.alert(credential, version)
        except OSError as error:
            raise Failed(f"{name}: {error}, which is no refusal by TLS") from None
        if not alert:
            raise Failed(f"{name}: the handshake succeeded")
        alerts.append(f"{name}: {alert}")
    return ", ".join(alerts)
