"""Protocols by which a host may not be asked, and HTTP/2, which is held to the same as HTTP/1.1."""

import ssl
from collections.abc import Iterator
from contextlib import closing
from functools import partial

from verification.checks import Check, Failed, skipped
from verification.hosts import BY_BOTH, NO_OWN_CLIENT, group_of, look, own_admitted, refused_by_tls
from verification.probes import NO_SAFE_METHOD, Probe, probe
from verification.stack import DeployedStack

_HTTP2 = "HTTP/2 is served to an admitted client"


def checks(stack: DeployedStack, host: str) -> Iterator[Check]:
    """Yield the checks of one host."""
    group, asked, own = group_of(stack, host), probe(stack.settings.hosts[host]), own_admitted(stack, host)
    client = own[0] if own else ""
    run = partial(old_tls_is_refused, stack, host, client)
    yield Check(group, "TLS 1.1 is refused", "alert protocol version", run, look(stack), host)
    run = partial(plaintext_is_refused, stack, host)
    yield Check(group, "plain HTTP at port 443 is refused", "no answer of HTTP", run, look(stack), host)
    run = partial(http2_without_certificate_is_refused, stack, host)
    yield Check(group, "HTTP/2 without a client certificate is refused", BY_BOTH, run, look(stack), host)
    if client and asked:
        run = partial(http2_is_served, stack, host, client, asked)
        yield Check(group, _HTTP2, asked.expected, run, look(stack), host)
    else:
        yield skipped(group, _HTTP2, NO_SAFE_METHOD if client else NO_OWN_CLIENT, host)


def old_tls_is_refused(stack: DeployedStack, host: str, client: str) -> str:
    """TLS 1.1, with the credential of an admitted client if there is one."""
    credential = stack.clients[client].credential() if client else None
    try:
        alert = stack.endpoint(host).alert(credential, ssl.TLSVersion.TLSv1_1)
    except OSError as error:
        raise Failed(f"{error}, which is no refusal by TLS") from None
    if not alert or "version" not in alert:
        raise Failed(f"alert {alert}" if alert else "a handshake by TLS 1.1 came about")
    return f"alert {alert}"


def plaintext_is_refused(stack: DeployedStack, host: str) -> str:
    """HTTP without TLS, to the port of HTTPS."""
    endpoint = stack.endpoint(host)
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


def http2_without_certificate_is_refused(stack: DeployedStack, host: str) -> str:
    """TLS 1.2 and 1.3 that agree on HTTP/2, without a client certificate."""
    return refused_by_tls(stack.endpoint(host), None, ("h2",))


def http2_is_served(stack: DeployedStack, host: str, client: str, asked: Probe) -> str:
    """Send the same request, with the same credential, as by HTTP/1.1."""
    answer = stack.endpoint(host).request_http2(asked.method, asked.path, stack.clients[client].credential())
    return asked.judge(answer, stack.outputs.clients[client])
