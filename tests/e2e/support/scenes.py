"""Scenes for the verification: objects of a stack changed by hand, and the line that the verification has for each."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from components.objects import domain_mark
from tests.e2e.support.lab import Lab
from tests.e2e.support.waiting import together

NAMESPACE = "broken"
FIRST, SECOND = "one.broken.target.test", "two.broken.target.test"
HOSTS: dict[str, Any] = {
    "first": {"domain": FIRST, "clients": ["client"], "paths": ["/headers"]},
    "second": {"domain": SECOND, "clients": []},
}
ISTIO = "istio-system"
MANAGER = "envoy.filters.network.http_connection_manager"


def policy(kind: str, host: str, domain: str) -> str:
    return f"authorizationpolicy/{kind}-{NAMESPACE}-{host}-{domain_mark(domain)}"


ADMISSION, SECOND_ADMISSION = policy("admission", "first", FIRST), policy("admission", "second", SECOND)
CALLERS = policy("callers", "first", FIRST)
GATEWAY = "gateway.networking.istio.io/kyma-mtls-gateway-first"
SECOND_GATEWAY = "gateway.networking.istio.io/kyma-mtls-gateway-second"
EGRESS_GATEWAY = "gateway.networking.istio.io/istio-egressgateway-first"
ORIGINATE = f"destinationrule/originate-mtls-for-{NAMESPACE}-first-{domain_mark(FIRST)}"
ROUTE = "virtualservice/direct-first-through-egress-gateway"
TO_SERVER = "virtualservice/direct-first-from-egress-gateway"
ENTRY = "serviceentry/first"


@dataclass(frozen=True)
class Change:
    """A change of an object of the stack by a JSON patch; its deletion if there is no patch."""

    cluster: str
    namespace: str
    name: str
    patch: tuple[Mapping[str, Any], ...] = ()

    def save(self, lab: Lab) -> str:
        """Return the object as the stack made it."""
        item = json.loads(lab.kubectl(self.cluster, "-n", self.namespace, "get", self.name, "-o", "json"))
        for key in ("resourceVersion", "uid", "creationTimestamp", "generation"):
            item["metadata"].pop(key, None)
        return json.dumps(item)

    def make(self, lab: Lab) -> None:
        """Change the object, or delete it."""
        place = ("-n", self.namespace)
        if self.patch:
            lab.kubectl(self.cluster, *place, "patch", self.name, "--type=json", "-p", json.dumps(self.patch))
        else:
            lab.kubectl(self.cluster, *place, "delete", self.name)

    def heal(self, lab: Lab, saved: str) -> None:
        """Bring the object back as it was saved."""
        lab.kubectl(self.cluster, "replace" if self.patch else "create", "-f", "-", stdin=saved)


@dataclass(frozen=True)
class Addition:
    """An object that the stack did not make, added to a cluster by its manifest."""

    cluster: str
    manifest: Mapping[str, Any]

    def save(self, lab: Lab) -> str:  # noqa: ARG002 - as of a Change
        """Return the manifest."""
        return json.dumps(self.manifest)

    def make(self, lab: Lab) -> None:
        """Apply the manifest."""
        lab.kubectl(self.cluster, "apply", "-f", "-", stdin=json.dumps(self.manifest))

    def heal(self, lab: Lab, saved: str) -> None:
        """Delete the object, and wait for nothing."""
        lab.kubectl(self.cluster, "delete", "--wait=false", "-f", "-", stdin=saved)


@dataclass(frozen=True)
class Scene:
    """Changes of different objects, and words of the verdict on each promise that they break.

    broken: by the promise, each HOST: PROMISE or CLIENT: PROMISE, or a beginning of it
    """

    changes: tuple[Change | Addition, ...]
    broken: Mapping[str, str]

    @contextmanager
    def played(self, lab: Lab) -> Iterator[None]:
        """Make all changes at once; heal those that were made, also after a failure."""
        saved = together(lambda change: change.save(lab), self.changes)
        made: list[tuple[Change | Addition, str]] = []

        def make(index: int) -> None:
            self.changes[index].make(lab)
            made.append((self.changes[index], saved[index]))

        try:
            together(make, range(len(self.changes)))
            yield
        finally:
            together(lambda each: each[0].heal(lab, each[1]), made)


def replace(path: str, value: object) -> Mapping[str, Any]:
    return {"op": "add", "path": path, "value": value}


def remove(path: str) -> Mapping[str, Any]:
    return {"op": "remove", "path": path}


def forwarding(cluster: str, namespace: str, context: str, labels: Mapping[str, str]) -> Addition:
    """Let a proxy hand on the header that a client sends; a gateway, for one host."""
    is_gateway = context == "GATEWAY"
    chain = {"filter": {"name": MANAGER}} | ({"sni": FIRST} if is_gateway else {})
    # The first proxy knows no client certificate to append.
    mode = "APPEND_FORWARD" if is_gateway else "ALWAYS_FORWARD_ONLY"
    typed = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
    patch = {
        "applyTo": "NETWORK_FILTER",
        "match": {"context": context, "listener": {"filterChain": chain}},
        "patch": {
            "operation": "MERGE",
            "value": {"typed_config": {"@type": typed, "forward_client_cert_details": mode}},
        },
    }
    manifest = {
        "apiVersion": "networking.istio.io/v1alpha3",
        "kind": "EnvoyFilter",
        "metadata": {"name": f"broken-{context.lower().replace('_', '-')}", "namespace": namespace},
        "spec": {"workloadSelector": {"labels": labels}, "configPatches": [patch]},
    }
    return Addition(cluster, manifest)


BARE_POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {
        "name": "bare",
        "namespace": NAMESPACE,
        "labels": {"app": "httpbin", "sidecar.istio.io/inject": "false"},
    },
    "spec": {
        "terminationGracePeriodSeconds": 0,
        "containers": [{"name": "httpbin", "image": "lab.local/httpbin:lab", "imagePullPolicy": "Never"}],
    },
}
TLS = "/spec/servers/0/tls"
HANDSHAKE = "TLS 1.2: the handshake succeeded"
WITH_ITS_PORT = {"to": [{"operation": {"hosts": [f"{FIRST}:443"], "notPorts": ["15021"]}}]}
HTTP_SERVER = {"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": [f"./{FIRST}"]}

# The gateway of the second host asks for no certificate any more, and serves old TLS.
_NO_CERTIFICATE = Scene(
    (
        Change(
            "target",
            NAMESPACE,
            SECOND_GATEWAY,
            (replace(f"{TLS}/mode", "SIMPLE"), replace(f"{TLS}/minProtocolVersion", "TLSV1_0")),
        ),
    ),
    {
        "second: a connection without a client certificate is refused": HANDSHAKE,
        "second: a client certificate of an untrusted CA is refused": HANDSHAKE,
        "second: an expired certificate is refused": HANDSHAKE,
        "second: a certificate that is not valid yet is refused": HANDSHAKE,
        "second: a certificate without clientAuth is refused": HANDSHAKE,
        "second: HTTP/2 without a client certificate is refused": HANDSHAKE,
        "second: TLS 1.1 is refused": "handshake",
    },
)
# The gateway of the first host admits every client of the CA, for routes of any namespace and for the second host.
_ADMITTED = Scene(
    (
        Change("target", ISTIO, ADMISSION),
        Change("target", ISTIO, SECOND_ADMISSION),
        Change("target", NAMESPACE, GATEWAY, (replace("/spec/servers/0/hosts/0", "*/*.broken.target.test"),)),
        Change(
            "target",
            NAMESPACE,
            "virtualservice/second",
            (replace("/spec/gateways/-", f"{NAMESPACE}/kyma-mtls-gateway-first"),),
        ),
        Change("target", NAMESPACE, "authorizationpolicy/from-ingress-gateway"),
    ),
    {
        "first: a certificate of the stack's CA with an unlisted identity is refused": "got 200",
        "first: a method that is not allowed is refused": "POST got 200",
        "first: a path that is not allowed is refused": "got 404",
        "first: a Gateway in an unrelated namespace does not publish": "without a client certificate: got 200",
        "first: a VirtualService in an unrelated namespace does not capture": "got 418",
        "first: the workload refuses Pods that bypass the": "a Pod with a sidecar at httpbin.broken.svc:8000: got 200",
        "second: client client is refused": "got 200",
        "second: a request with the SNI of a different host is refused": f"SNI {FIRST}, Host {SECOND}: got 200",
    },
)
ALL_ADDRESSES = [{"ipBlock": {"cidr": "0.0.0.0/1"}}, {"ipBlock": {"cidr": "128.0.0.0/1"}}]
OPENING = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "opening", "namespace": NAMESPACE},
    "spec": {
        "podSelector": {"matchLabels": {"app": "none"}},
        "policyTypes": ["Egress"],
        "egress": [{"to": ALL_ADDRESSES}],
    },
}
# Callers leave their cluster by every way, and all may use the egress gateway.
_WAYS_OUT = Scene(
    (
        Change("client", NAMESPACE, "networkpolicy/network-policy-allow-egress-traffic"),
        Change("client", ISTIO, ORIGINATE, (remove("/spec/trafficPolicy/portLevelSettings/0/tls/subjectAltNames"),)),
        Change("client", ISTIO, CALLERS),
        Change("client", NAMESPACE, EGRESS_GATEWAY, (replace("/spec/servers/-", HTTP_SERVER),)),
        Change("client", NAMESPACE, TO_SERVER, (remove("/spec/http/0/match/0/port"),)),
        Change("client", NAMESPACE, ENTRY),
    ),
    {
        "client: an undeclared caller does not reach first": "got 200",
        "client: a direct TLS connection past the egress gateway": "first could be reached by TLS directly",
        "client: direct connections by IP address and by other ports are refused": "could be reached by TLS",
        "client: a Pod without a sidecar cannot connect out of the stack's namespace": "could be reached",
        "client: the egress gateway accepts no server with a different name or CA as first": "any name",
        "client: a Pod without a sidecar does not reach first through the egress gateway": ":80: got 200",
    },
)


def side_by_side(*scenes: Scene) -> Scene:
    """Return one scene of several that change different objects, and break different promises."""
    return Scene(
        tuple(change for scene in scenes for change in scene.changes),
        {promise: words for scene in scenes for promise, words in scene.broken.items()},
    )


SCENES = {
    "doors_are_open": side_by_side(_NO_CERTIFICATE, _ADMITTED, _WAYS_OUT),
    "headers_are_handed_on": Scene(
        (
            forwarding("target", ISTIO, "GATEWAY", {"istio": "ingressgateway"}),
            forwarding("client", ISTIO, "GATEWAY", {"istio": "egressgateway"}),
            forwarding("client", NAMESPACE, "SIDECAR_OUTBOUND", {"app": "curl"}),
            Change("target", ISTIO, ADMISSION, (replace("/spec/rules/-", WITH_ITS_PORT),)),
        ),
        {
            "first: a forged X-Forwarded-Client-Cert is replaced": "the forged header came through",
            "client: a caller's forged X-Forwarded-Client-Cert does not reach first": "the forged header came",
            "first: the domain is served in capitals and with a port": f"Host {FIRST}:443: got 403",
        },
    ),
    "routes_are_gone": Scene(
        (
            Change("target", ISTIO, f"secret/kyma-mtls-certs-{NAMESPACE}-first.1"),
            Change("target", NAMESPACE, "virtualservice/first"),
            Change("target", NAMESPACE, "virtualservice/second"),
            Change("client", NAMESPACE, ROUTE),
            Addition("target", BARE_POD),
        ),
        {
            "the target cluster has the stack's Secrets": f"Secret {ISTIO}/kyma-mtls-certs-{NAMESPACE}-first.1 is gone",
            "the cluster of client client has the stack's objects": f"VirtualService {NAMESPACE}/direct-first-",
            "first: the demo's Pods have a sidecar": "Pod bare in namespace broken has no sidecar",
            "client: plain HTTP to first leaves through the egress gateway": "got",
            "first: client client is admitted": "got 404",
            "first: HTTP/2 is served to an admitted client": "got 404",
        },
    ),
    "namespace_is_opened": Scene(
        (
            Addition("client", OPENING),
            Change(
                "client",
                ISTIO,
                CALLERS,
                (
                    replace("/spec/rules/0/from/0/source/notPrincipals", ["*/ns/none/sa/none"]),
                    replace("/spec/rules/0/from/0/source/notNamespaces", [NAMESPACE]),
                ),
            ),
        ),
        {
            f"client: no NetworkPolicy opens namespace {NAMESPACE}": "opening admits 0.0.0.0/1, 128.0.0.0/1",
            "client: an undeclared service account of the caller's namespace does not reach first": "got 200",
        },
    ),
    "credential_is_gone": Scene(
        (Change("client", ISTIO, f"secret/client-credential-{NAMESPACE}.1"),),
        {"first: client client is admitted": f"Secret {ISTIO}/client-credential-{NAMESPACE}.1 is missing"},
    ),
}
DENIED_BY_DEFAULT = Scene(
    (
        Addition(
            "target",
            {
                "apiVersion": "security.istio.io/v1",
                "kind": "AuthorizationPolicy",
                "metadata": {"name": "deny-by-default", "namespace": ISTIO},
                "spec": {},
            },
        ),
    ),
    {},
)
"""Refuses what the stack admits, which says nothing about the stack."""
LASTING = Scene((Addition("target", BARE_POD),), {})
"""Breaks a promise that a verification therefore tries until its time is over."""
