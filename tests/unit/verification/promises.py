"""The promises of the demo's host `httpbin` and client `warehouse`, as the verification prints them."""

import pytest

from verification.checks import Check, Skipped

NO_CERTIFICATE = "a connection without a client certificate is refused"
FOREIGN_CERTIFICATE = "a client certificate of an untrusted CA is refused"
FIRST = (NO_CERTIFICATE, FOREIGN_CERTIFICATE)
METHOD = "a method that is not allowed is refused"
PATH = "a path that is not allowed is refused"
SIDECAR = "the demo's Pods have a sidecar"
MISREAD = "a path that a server may decode to another one is refused"
DIRECT = "a direct TLS connection past the egress gateway is refused"

CERTIFICATES = (
    "an expired certificate is refused",
    "a certificate that is not valid yet is refused",
    "a certificate without clientAuth is refused",
)
UNLISTED = "a certificate of the stack's CA with an unlisted identity is refused"
SPELLED = "the domain is served in capitals and with a port"
FRONTED = "a request with the SNI of a different host is refused"
FRONTED_BY_KYMA = "a request with the SNI of the Kyma gateway is refused"
OLD_TLS, PLAIN = "TLS 1.1 is refused", "plain HTTP at port 443 is refused"
HTTP2_REFUSED = "HTTP/2 without a client certificate is refused"
HTTP2 = "HTTP/2 is served to an admitted client"
FORGED = "a forged X-Forwarded-Client-Cert is replaced"
WORKLOAD = "the workload refuses Pods that bypass the gateway"
PUBLISHED = "a Gateway in an unrelated namespace does not publish the host"
CAPTURED = "a VirtualService in an unrelated namespace does not capture the host's requests"
OF_HOST = [*CERTIFICATES, UNLISTED, SPELLED, OLD_TLS, PLAIN, HTTP2_REFUSED, HTTP2, FORGED]
OF_HOST += [WORKLOAD, PUBLISHED, CAPTURED]
"""The attacks on the demo's host."""

FORGED_BY_CALLER = "a caller's forged X-Forwarded-Client-Cert does not reach httpbin"
CALLER = "an undeclared caller does not reach httpbin"
BARE = "a Pod without a sidecar does not reach httpbin through the egress gateway"
BY_ADDRESS = "direct connections by IP address and by other ports are refused"
OUT_OF_NAMESPACE = "a Pod without a sidecar cannot connect out of the stack's namespace"
ACCOUNT = "an undeclared service account of the caller's namespace does not reach httpbin"
OF_CLIENT = [FORGED_BY_CALLER, CALLER, BARE, ACCOUNT, BY_ADDRESS, OUT_OF_NAMESPACE]
"""The attacks on the demo's client."""


def closed(namespace: str) -> str:
    """Return the promise of a closed namespace."""
    return f"no NetworkPolicy opens namespace {namespace}"


def way_out(host: str) -> str:
    """Return the promise of a client's way to a host."""
    return f"plain HTTP to {host} leaves through the egress gateway"


def skip_reason(check: Check) -> str:
    """Return ` - ` and the reason of a check that is skipped in advance; else an empty text."""
    if check.look:
        return ""
    with pytest.raises(Skipped) as caught:
        check.run()
    return f" - {caught.value}"
