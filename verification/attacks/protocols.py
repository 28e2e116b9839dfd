"""Protocols that a host must refuse, and HTTP/2, for which the promises of HTTP/1.1 hold."""

import ssl
from collections.abc import Iterator
from contextlib import closing
from functools import partial

from verification.checks import Check, Failed
from verification.context import ClientContext, HostContext
from verification.hosts import NO_OWN_CLIENT
from verification.probes import NO_SAFE_METHOD, Probe
from verification.refusals import BY_TLS, refused_by_tls

_HTTP2 = "HTTP/2 is served to an admitted client"


def checks(host: HostContext) -> Iterator[Check]:
    """Yield the checks of one host."""
    probe, client = host.probe, next(iter(host.admitted_own_clients), None)
    yield host.check("TLS 1.1 is refused", "alert protocol version", partial(old_tls_is_refused, host, client))
    yield host.check("plain HTTP at port 443 is refused", "no answer of HTTP", partial(plaintext_is_refused, host))
    run = partial(http2_without_certificate_is_refused, host)
    yield host.check("HTTP/2 without a client certificate is refused", BY_TLS, run)
    if client and probe:
        yield host.check(_HTTP2, probe.expected, partial(http2_is_served, host, client, probe))
    else:
        yield host.skipped(_HTTP2, NO_SAFE_METHOD if client else NO_OWN_CLIENT)


def old_tls_is_refused(host: HostContext, client: ClientContext | None) -> str:
    """Connect by TLS 1.1, with the credential of an admitted client if there is one."""
    credential = client.credential() if client else None
    try:
        alert = host.endpoint.alert(credential, ssl.TLSVersion.TLSv1_1)
    except OSError as error:
        raise Failed(f"{error}, which is no refusal by TLS") from None
    if not alert or "version" not in alert:
        raise Failed(f"alert {alert}" if alert else "a handshake by TLS 1.1 succeeded")
    return f"alert {alert}"


def plaintext_is_refused(host: HostContext) -> str:
    """Send HTTP without TLS to the port of HTTPS."""
    endpoint = host.endpoint
    with closing(endpoint.plain()) as connection:
        try:
            connection.sendall(f"GET / HTTP/1.1\r\nHost: {endpoint.domain}\r\nConnection: close\r\n\r\n".encode())
            answer = connection.recv(1 << 10)
        except ConnectionResetError:
            return "the connection was reset"
        except TimeoutError:
            return "no answer"
    if answer.startswith(b"HTTP/"):
        raise Failed(f"got {answer.splitlines()[0].decode(errors='replace')}")
    return "a TLS alert" if answer else "the connection was closed"


def http2_without_certificate_is_refused(host: HostContext) -> str:
    """Connect by TLS 1.2 and 1.3 with HTTP/2 in ALPN, without a client certificate."""
    return refused_by_tls(host.endpoint, None, ("h2",))


def http2_is_served(host: HostContext, client: ClientContext, probe: Probe) -> str:
    """Send the request of the HTTP/1.1 checks, with the same credential, by HTTP/2."""
    answer = host.endpoint.request_http2(probe.method, probe.path, client.credential())
    return probe.judge(answer, client.output)
