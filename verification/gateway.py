"""What the Kyma gateway promises, for a stack that has one."""

import http.client
import socket
import ssl
from contextlib import closing

from verification.checks import Check, Failed
from verification.stack import DeployedStack
from verification.tls import TIMEOUT_SECONDS, VERSIONS

_HOST = "verification"
_OUTSIDE = "verification.invalid"
_HOSTNAME_MISMATCH = 62  # X509_V_ERR_HOSTNAME_MISMATCH: signed by the gateway's CA, but for other names
_LOOK = "target cluster: kubectl get gateways,secrets -A; istioctl proxy-config listeners deploy/istio-ingressgateway"


def http_is_redirected(stack: DeployedStack) -> str:
    """Plain HTTP for a name of the domain."""
    host = _name(stack)
    with closing(http.client.HTTPConnection(_address(stack), 80, timeout=TIMEOUT_SECONDS)) as connection:
        connection.request("GET", "/", headers={"Host": host})
        response = connection.getresponse()
        seen = f"{response.status} {response.headers.get('Location', '')}".strip()
    if seen != f"{http.client.MOVED_PERMANENTLY:d} https://{host}/":
        raise Failed(f"got {seen}")
    return seen


def certificate_is_for_the_domain(stack: DeployedStack) -> str:
    """TLS 1.2 and 1.3 with a name of the domain, which the certificate and its CA have to prove."""
    for version in VERSIONS.values():
        _handshake(stack, _name(stack), version)
    return f"*.{stack.outputs['gateway']['domain']} by {' and '.join(VERSIONS)}"


def old_tls_is_refused(stack: DeployedStack) -> str:
    """TLS 1.1."""
    try:
        _handshake(stack, _name(stack), ssl.TLSVersion.TLSv1_1)
    except ssl.SSLError as error:
        if "ALERT_PROTOCOL_VERSION" not in (error.reason or ""):
            raise Failed(f"TLS 1.1: {error}") from None
        return "TLS 1.1: alert protocol version"
    raise Failed("a handshake by TLS 1.1 came about")


def other_hosts_are_refused(stack: DeployedStack) -> str:
    """TLS with a name outside the domain."""
    try:
        _handshake(stack, _OUTSIDE, ssl.TLSVersion.TLSv1_3)
    except ssl.SSLCertVerificationError as error:
        if error.verify_code == _HOSTNAME_MISMATCH:
            raise Failed(f"{_OUTSIDE} got the gateway's own certificate") from None
        return f"{_OUTSIDE}: served by another gateway"
    except (ssl.SSLError, ConnectionResetError) as error:
        return f"{_OUTSIDE}: {error.strerror or error}"
    raise Failed(f"a handshake for {_OUTSIDE} came about")


def checks(stack: DeployedStack) -> tuple[Check, ...]:
    """The checks of the gateway; none for a stack without one."""
    return CHECKS if "gateway" in stack.outputs else ()


def _name(stack: DeployedStack) -> str:
    return f"{_HOST}.{stack.outputs['gateway']['domain']}"


def _address(stack: DeployedStack) -> str:
    return str(stack.outputs["gateway"]["address"] or _name(stack))


def _handshake(stack: DeployedStack, host: str, version: ssl.TLSVersion) -> None:
    context = ssl.create_default_context(cadata=stack.outputs["gateway"]["caCertificate"])
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # a user's own chain may end below the root
    context.set_ciphers("DEFAULT:@SECLEVEL=0")  # else OpenSSL itself refuses TLS 1.1
    context.minimum_version = context.maximum_version = version
    with closing(socket.create_connection((_address(stack), 443), TIMEOUT_SECONDS)) as plain:
        context.wrap_socket(plain, server_hostname=host).close()


CHECKS = (
    Check("the Kyma gateway redirects port 80 to 443", http_is_redirected, _LOOK),
    Check("the Kyma gateway proves its domain", certificate_is_for_the_domain, _LOOK),
    Check("the Kyma gateway refuses TLS before 1.2", old_tls_is_refused, _LOOK),
    Check("the Kyma gateway refuses other hosts", other_hosts_are_refused, _LOOK),
)
