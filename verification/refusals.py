"""How a gateway refuses a client: by a TLS alert, or by its AuthorizationPolicy."""

import ssl

from cryptography import x509
from cryptography.x509.oid import NameOID

from verification.checks import Failed
from verification.issuing import foreign_credential
from verification.probes import Probe
from verification.tls import (
    ABOUT_CERTIFICATES,
    HANDSHAKE_FAILURE,
    PROTOCOL_VERSION,
    VERSIONS,
    ClientCredential,
    Endpoint,
    alert_of,
)

BY_TLS = f"a TLS alert, by {' and '.join(VERSIONS)}"
BY_POLICY_OR_TLS = "403 of the gateway's policy, or a TLS alert"
BY_ENVOY = "403 or 404 of Envoy"
STRANGER = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "verification.invalid")])
"""The Subject of a client that no stack has."""


def denied(endpoint: Endpoint, probe: Probe, credential: ClientCredential) -> str:
    """Send a request; return how TLS or the gateway's policy refused it, raise Failed if neither did."""
    # TLS 1.2 refuses within the handshake; by TLS 1.3, the refusal can cut off an HTTP answer.
    version = next((each for each in VERSIONS.values() if _reads_certificates(endpoint, each)), None)
    try:
        answer = endpoint.request(probe.method, probe.path, credential, version)
    except ssl.SSLError as error:
        alert = alert_of(error)
        if alert not in ABOUT_CERTIFICATES:
            raise Failed(f"alert {alert}, which is not about the certificate") from None
        return f"alert {alert}"
    if not answer.denied:
        raise Failed(f"got {answer.summary}")
    return f"{answer.status}"


def refused_by_tls(endpoint: Endpoint, credential: ClientCredential | None, alpn: tuple[str, ...] = ()) -> str:
    """Return the alerts by which TLS 1.2 and 1.3 refuse a credential; raise Failed if either accepts it.

    A version that the gateway does not offer passes; raise Failed if it offers neither.
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
        # By TLS 1.2, Envoy sends this alert to a client without a certificate (BoringSSL: ssl/handshake_server.cc). A
        # server without a common cipher sends it too, but does not read a certificate when the client shows one.
        lacks_certificate = alert == HANDSHAKE_FAILURE and not credential and _reads_certificates(endpoint, version)
        if alert not in ABOUT_CERTIFICATES and not lacks_certificate:
            raise Failed(f"{name}: alert {alert}, which is not about the certificate")
        alerts.append(f"{name}: {alert}")
        is_refused = True
    if not is_refused:
        raise Failed(f"the gateway offers no version of TLS: {', '.join(alerts)}")
    return ", ".join(alerts)


def _reads_certificates(endpoint: Endpoint, version: ssl.TLSVersion) -> bool:
    """Return whether a handshake by this version gets as far as judging a client certificate: a stranger's."""
    try:
        alert = endpoint.alert(foreign_credential(STRANGER), version)
    except OSError:
        return False
    return alert is None or alert in ABOUT_CERTIFICATES
