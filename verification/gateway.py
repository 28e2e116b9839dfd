"""Promises of the Kyma gateway, for a stack that has one."""

import http.client
import socket
import ssl
from collections.abc import Iterator
from contextlib import closing
from functools import partial

from outputs import GatewayOutput
from verification.checks import Check, Failed
from verification.stack import DeployedStack
from verification.tls import TIMEOUT_SECONDS, VERSIONS

_HOST = "verification"
_OUTSIDE = "verification.invalid"


def http_is_redirected(gateway: GatewayOutput) -> str:
    """Ask by plain HTTP for a name of the domain."""
    host = _name(gateway)
    with closing(http.client.HTTPConnection(_address(gateway), 80, timeout=TIMEOUT_SECONDS)) as connection:
        connection.request("GET", "/", headers={"Host": host})
        response = connection.getresponse()
        seen = f"{response.status} {response.headers.get('Location', '')}".strip()
    if seen != f"{http.client.MOVED_PERMANENTLY:d} https://{host}/":
        raise Failed(f"got {seen}")
    return seen


def certificate_is_for_the_domain(gateway: GatewayOutput) -> str:
    """Connect by TLS 1.2 and 1.3 with a name of the domain; verify the certificate by the CA of the outputs."""
    for version in VERSIONS.values():
        _handshake(gateway, _name(gateway), version)
    return f"*.{gateway.domain} by {' and '.join(VERSIONS)}"


def old_tls_is_refused(gateway: GatewayOutput) -> str:
    """Connect by TLS 1.1."""
    try:
        _handshake(gateway, _name(gateway), ssl.TLSVersion.TLSv1_1)
    except ssl.SSLError as error:
        if "ALERT_PROTOCOL_VERSION" not in (error.reason or ""):
            raise Failed(f"TLS 1.1: {error}") from None
        return "TLS 1.1: alert protocol version"
    raise Failed("a handshake by TLS 1.1 succeeded")


def other_hosts_are_refused(gateway: GatewayOutput) -> str:
    """Connect by TLS with a name outside the domain; another gateway may serve it, by a certificate of the same CA."""
    own = _certificate(gateway, _name(gateway))
    try:
        shown = _certificate(gateway, _OUTSIDE)
    except (ssl.SSLError, ConnectionResetError) as error:
        return f"{_OUTSIDE}: {error.strerror or error}"
    if shown == own:
        raise Failed(f"{_OUTSIDE} got the certificate of the Kyma gateway")
    return f"{_OUTSIDE}: a different gateway serves it"


def checks(stack: DeployedStack) -> Iterator[Check]:
    """Yield the checks of the gateway; none for a stack without one."""
    if stack.outputs.gateway:
        service = stack.target_gateway
        listeners = f"istioctl proxy-config listeners -n {service.namespace} svc/{service.name}"
        look = f"target cluster: kubectl get gateways.networking.istio.io,secrets -A; {listeners}"
        for promise, (expected, run) in _PROMISES.items():
            yield Check("Kyma gateway", promise, expected, partial(run, stack.outputs.gateway), look)


def _name(gateway: GatewayOutput) -> str:
    return f"{_HOST}.{gateway.domain}"


def _address(gateway: GatewayOutput) -> str:
    return gateway.address or _name(gateway)


def _handshake(gateway: GatewayOutput, host: str, version: ssl.TLSVersion) -> None:
    context = ssl.create_default_context(cadata=gateway.ca_certificate)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # a user's own chain may end below the root
    context.set_ciphers("DEFAULT:@SECLEVEL=0")  # at its default level, OpenSSL itself refuses TLS 1.1
    context.minimum_version = context.maximum_version = version
    with closing(socket.create_connection((_address(gateway), 443), TIMEOUT_SECONDS)) as plain:
        context.wrap_socket(plain, server_hostname=host).close()


def _certificate(gateway: GatewayOutput, host: str) -> bytes | None:
    """Return the certificate that is shown for a name, DER, whoever signed it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    plain = socket.create_connection((_address(gateway), 443), TIMEOUT_SECONDS)
    with closing(plain), closing(context.wrap_socket(plain, server_hostname=host)) as connection:
        return connection.getpeercert(binary_form=True)


_PROMISES = {
    "the Kyma gateway redirects port 80 to 443": ("301 to https", http_is_redirected),
    "the Kyma gateway's certificate is valid for its domain": (
        "a certificate for *.DOMAIN, by TLS 1.2 and 1.3",
        certificate_is_for_the_domain,
    ),
    "the Kyma gateway refuses TLS versions below 1.2": ("a TLS alert", old_tls_is_refused),
    "the Kyma gateway refuses names outside its domain": ("no certificate of this gateway", other_hosts_are_refused),
}
