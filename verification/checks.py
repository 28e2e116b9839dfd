"""The tutorial's checks and their negatives, each a function that gives what it saw or raises Failed."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from cryptography import x509

from verification.stack import DeployedStack, client_subjects
from verification.tls import VERSIONS, ClientCredential, foreign_credential

OK = 200
CURL_NOT_CONNECTED = {7, 28, 35}  # connection refused, timed out, reset before TLS was there
LOG_DELAY = timedelta(seconds=15)  # Envoy writes its log in batches


class Failed(Exception):  # noqa: N818 - a verdict, not an error of the program
    """What was seen instead of what was promised."""


class Skipped(Exception):  # noqa: N818
    """Why a check does not apply to this stack."""


@dataclass(frozen=True)
class Check:
    """A promise, how to see it kept, and where to look when it is not."""

    promise: str
    run: Callable[[DeployedStack], str]
    look: str


def no_certificate_is_refused(stack: DeployedStack) -> str:
    """TLS 1.2 and 1.3 without a client certificate."""
    return _refused(stack, None)


def foreign_certificate_is_refused(stack: DeployedStack) -> str:
    """TLS 1.2 and 1.3 with a certificate of the client's own Subject that another CA signed."""
    name = x509.load_pem_x509_certificate(stack.client_credential().certificate).subject
    return _refused(stack, foreign_credential(name))


def client_certificate_is_accepted(stack: DeployedStack) -> str:
    """The client's certificate, from where this runs."""
    status, body = stack.endpoint.get("/headers", stack.client_credential())
    return _expect_subject(stack, status, body.decode(errors="replace"))


def egress_gateway_presents_certificate(stack: DeployedStack) -> str:
    """Plain HTTP in the client's Pod, mutual TLS on the wire, the request in the egress gateway's log."""
    marker, start = uuid4().hex, datetime.now(UTC)
    seen = _call_from_pod(stack, f"/headers?{marker}")
    while marker not in stack.egress_gateway_log(start):
        if datetime.now(UTC) - start > LOG_DELAY:
            raise Failed(f"{seen}, but the egress gateway's log has no line of it")
        time.sleep(1)
    return f"{seen}; logged by the egress gateway"


def direct_way_out_is_refused(stack: DeployedStack) -> str:
    """HTTPS from the client's Pod past the egress gateway: no TLS handshake may come about."""
    if not stack.settings.network_policy:
        raise Skipped("networkPolicy is false: the client's namespace may be left by any way")
    url = f"https://{stack.endpoint.domain}/headers"
    done = stack.curl("-ksS", "--tlsv1.3", "--max-time", "20", "-o", "/dev/null", "-w", "%{time_appconnect}", url)
    if float(done.stdout) > 0:
        raise Failed(f"a TLS handshake with the target came about directly (curl ended with {done.code})")
    if done.code not in CURL_NOT_CONNECTED:
        raise Failed(f"curl ended with {done.code}, which is no refused connection: {done.stderr.strip()}")
    _call_from_pod(stack, "/headers")
    return f"curl ended with {done.code} directly; 200 through the egress gateway"


def _call_from_pod(stack: DeployedStack, path: str) -> str:
    url = f"http://{stack.endpoint.domain}{path}"
    done = stack.curl("-sS", "--max-time", "20", "-w", "\n%{http_code}", url)
    if done.code:
        raise Failed(f"curl ended with {done.code}: {done.stderr.strip()}")
    body, _, status = done.stdout.rpartition("\n")
    return _expect_subject(stack, int(status), body)


def _refused(stack: DeployedStack, credential: ClientCredential | None) -> str:
    alerts = []
    for name, version in VERSIONS.items():
        try:
            alert = stack.endpoint.alert(credential, version)
        except OSError as error:
            raise Failed(f"{name}: {error}, which is no refusal by TLS") from None
        if not alert:
            raise Failed(f"{name}: the handshake succeeded")
        alerts.append(f"{name}: {alert}")
    return ", ".join(alerts)


def _expect_subject(stack: DeployedStack, status: int, body: str) -> str:
    expected = stack.outputs["clientSubject"]
    if status != OK:
        raise Failed(f"got {status}: {body.strip()[:200]}")
    subjects = client_subjects(body)
    if expected not in subjects:
        raise Failed(f"got 200, but X-Forwarded-Client-Cert names {subjects or 'nobody'}, not {expected}")
    return f"200, Subject {expected}"


_INGRESS_LOG = "target cluster: kubectl -n istio-system logs -l istio=ingressgateway; istioctl proxy-config secret"
_EGRESS_LOG = "client cluster: kubectl -n istio-system logs -l istio=egressgateway; istioctl proxy-config clusters"

CHECKS = (
    Check("no client certificate is refused", no_certificate_is_refused, _INGRESS_LOG),
    Check("a certificate of another CA is refused", foreign_certificate_is_refused, _INGRESS_LOG),
    Check("the client's certificate gets 200 and is passed on", client_certificate_is_accepted, _INGRESS_LOG),
    Check("plain HTTP leaves through the egress gateway", egress_gateway_presents_certificate, _EGRESS_LOG),
    Check("the direct way out is refused", direct_way_out_is_refused, "client cluster: kubectl get networkpolicy -A"),
)
