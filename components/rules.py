"""Rules for names, in a stack's config as in the arguments of components. None needs Pulumi.

Each rule returns a value that passes it, and raises ValueError with the reason for any further one.
"""

import re
from typing import Literal, get_args

Method = Literal["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"]

LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
CALLER = rf"{LABEL}(/{LABEL}(\.{LABEL})*)?"
_SEGMENT = r"([A-Za-z0-9._~!$&'()+,;=:@-]|%[0-9A-Fa-f]{2})"
PATH = rf"(/{_SEGMENT}+)*/({_SEGMENT}*|\*)"

_IP_ADDRESS = re.compile(r"(.*\.)?([0-9]+|0x[0-9a-f]*)")
_CLUSTER_LOCAL = re.compile(r".*\.(svc|cluster\.local)")
_SPIFFE_PATH = r"(/(?!\.\.?(/|$))[A-Za-z0-9._-]+)+"
_TRUST_DOMAIN = r"[a-z0-9._-]{1,255}"
_SPIFFE_ID = re.compile(rf"spiffe://{_TRUST_DOMAIN}{_SPIFFE_PATH}")
_PRINCIPAL = re.compile(rf"\*/ns/{LABEL}/sa/{LABEL}(\.{LABEL})*|{_TRUST_DOMAIN}{_SPIFFE_PATH}")
_LONGEST_SPIFFE_ID = 2048
_LONGEST_DNS_NAME = 253
_DOT_SEGMENT = re.compile(r"/\.\.?(/|;|$)")
_ENCODED_SEPARATOR = re.compile(r"(?i)%(2f|5c|25)")
_HTTP_PORT = 80


def label(value: str) -> str:
    """Return a DNS label."""
    if not re.fullmatch(LABEL, value):
        raise ValueError("not a DNS label: at most 63 lower-case letters, digits and hyphens")
    return value


def host_name(value: str) -> str:
    """Return a lower-case DNS name of two labels or more, which no cluster reserves for itself."""
    if _IP_ADDRESS.fullmatch(value):
        raise ValueError("an IP address, not a domain name")
    if not re.fullmatch(rf"({LABEL}\.)+{LABEL}", value):
        raise ValueError("not a domain name: at least two labels of lower-case letters, digits and hyphens")
    if _CLUSTER_LOCAL.fullmatch(value):
        raise ValueError("a name within a cluster, not a domain name")
    return value


def identity(value: str) -> str:
    """Return the identity of one client certificate: a SPIFFE URI, or dns:NAME."""
    kind, _, name = value.partition(":")
    if kind == "dns":
        if not _is_dns_name(name):
            raise ValueError("not dns:NAME with a DNS name as the certificate spells it, and no wildcard")
    elif len(value) > _LONGEST_SPIFFE_ID or not _SPIFFE_ID.fullmatch(value):
        raise ValueError("not an identity: spiffe://TRUSTDOMAIN/PATH, or dns:NAME")
    return value


def principal(value: str) -> str:
    """Return a SPIFFE ID as Istio writes it, or a service account in any trust domain."""
    if not _PRINCIPAL.fullmatch(value):
        raise ValueError("not a principal: TRUSTDOMAIN/PATH, or */ns/NAMESPACE/sa/SERVICEACCOUNT")
    return value


def dns_name(value: str) -> str:
    """Return a DNS name of a certificate, as the certificate spells it, without a wildcard."""
    if not _is_dns_name(value):
        raise ValueError("not a DNS name, without a wildcard")
    return value


def caller(value: str) -> str:
    """Return a service account, NAMESPACE/SERVICEACCOUNT, or a namespace, for all of its service accounts."""
    if not re.fullmatch(CALLER, value):
        raise ValueError("not a caller: NAMESPACE, or NAMESPACE/SERVICEACCOUNT")
    if value.partition("/")[0] == "istio-system":
        raise ValueError("istio-system is Istio's own namespace, not a caller's")
    return value


def method(value: str) -> str:
    """Return an HTTP method."""
    if value not in get_args(Method):
        raise ValueError(f"not one of {', '.join(get_args(Method))}")
    return value


def path(value: str) -> str:
    """Return an exact path, or a prefix that ends in /*."""
    if not re.fullmatch(PATH, value) or _DOT_SEGMENT.search(value):
        raise ValueError("not a path: '/health' for this path only, '/orders/*' for all with this prefix, '/*' for all")
    if _ENCODED_SEPARATOR.search(value):
        raise ValueError("has %2f, %5c or %25, which a server may decode to another path: hosts deny such requests")
    return value


def https_port(value: int) -> int:
    """Return a port, but not that of plain HTTP."""
    if value == _HTTP_PORT:
        raise ValueError("the port at which callers ask for the host in plain HTTP")
    return value


def _is_dns_name(value: str) -> bool:
    # Istio compares it with the certificate's, which may have capitals.
    return len(value) <= _LONGEST_DNS_NAME and re.fullmatch(rf"{LABEL}(\.{LABEL})*", value.lower()) is not None
