"""A scene that proxies show, so that a run with --read-only notices it: objects of the stack that say a little more."""

import base64
from typing import Any

from tests.e2e.support.scenes import (
    ADMISSION,
    CALLERS,
    ISTIO,
    NAMESPACE,
    ORIGINATE,
    SECOND_GATEWAY,
    TLS,
    Addition,
    Change,
    Scene,
    remove,
    replace,
)
from tests.unit.pki import issue

_CA = base64.b64encode(issue("another CA").pem.encode()).decode()
_SOURCE = "/spec/rules/0/from/0/source/notPrincipals/-"
_OTHER = "other.broken.target.test"
_ROUTE = {"route": [{"destination": {"host": f"httpbin.{NAMESPACE}.svc.cluster.local", "port": {"number": 8000}}}]}


def _istio(kind: str, spec: dict[str, Any]) -> Addition:
    metadata = {"name": "other", "namespace": NAMESPACE}
    return Addition(
        "target", {"apiVersion": "networking.istio.io/v1", "kind": kind, "metadata": metadata, "spec": spec}
    )


_SERVER = {"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": [_OTHER]}
LOOSENED = Scene(
    (
        Change(
            "target",
            ISTIO,
            ADMISSION,
            (replace(_SOURCE, "acme.example/client"), replace("/spec/rules/1/to/0/operation/notMethods/-", "DELETE")),
        ),
        Change("target", NAMESPACE, "authorizationpolicy/from-ingress-gateway", (replace("/spec/rules/-", {}),)),
        Change("target", NAMESPACE, SECOND_GATEWAY, (replace(f"{TLS}/minProtocolVersion", "TLSV1_0"),)),
        Change("target", ISTIO, f"secret/kyma-mtls-certs-{NAMESPACE}-first.1", (replace("/data/cacert", _CA),)),
        Change("client", ISTIO, CALLERS, (replace(_SOURCE, f"*/ns/{NAMESPACE}/sa/default"),)),
        Change("client", ISTIO, ORIGINATE, (remove("/spec/workloadSelector"),)),
        Change("client", ISTIO, f"secret/client-credential-{NAMESPACE}.1", (replace("/data/ca.crt", _CA),)),
        Change("client", NAMESPACE, "serviceentry/first", (remove("/spec/ports/1"),)),
        _istio("Gateway", {"selector": {"istio": "ingressgateway"}, "servers": [_SERVER]}),
        _istio("VirtualService", {"hosts": [_OTHER], "gateways": ["other"], "http": [_ROUTE]}),
    ),
    {
        "first: the ingress gateway's proxies admit exactly": "admits spiffe://acme.example/client",
        "first: the ingress gateway's proxies serve exactly": "serves DELETE /headers",
        "first: the ingress gateway's proxies show the host's": "which the stack does not",
        "second: the ingress gateway's proxies show the host's": "speaks TLSv1_0",
        "first: nothing else at the ingress gateway leads": f"leads requests for {_OTHER} to it",
        "first: the workload's sidecars admit the ingress": "admits a peer without a certificate",
        "client: the egress gateway's proxies admit exactly the declared callers to first": "ns/broken/sa/default",
        "client: the egress gateway accepts no server with a different name or CA as first": "which the stack does not",
        "client: no other proxy beside the egress gateway": "shows the certificate of Secret client-credential-broken",
        "client: the callers' sidecars lead requests for first": "connections to port 443",
    },
)
