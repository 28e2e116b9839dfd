"""The route of a client cluster's callers to one host: plain HTTP to the egress gateway, mutual TLS from there.

Follows "Expose the workload" of the mTLS tutorial (https://developers.sap.com/tutorials/cp-kyma-mtls-requests-egress).
Unlike the tutorial's:

- the sidecars of the callers know the host as one without endpoints: a request goes to the egress gateway, or the
  sidecar answers it itself, with 503, or with the status of a Refusal. None leaves the cluster in clear text, and
  none to the host's port for TLS past the egress gateway;
- the egress gateway alone knows where the host's server is, admits the declared callers alone, and verifies the
  server's name;
- callers reach the egress gateway by mutual TLS of the mesh, under a host name of the stack's own.

A host shares no object with further hosts but the egress gateway itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from . import rules
from .arguments import check, check_each, check_port
from .authorization import Admission, Identities, admission_policy
from .istio_gateway import IstioGateway, entry_host
from .objects import domain_mark, in_gateway_namespace, istio

_HTTP, _HTTPS = 80, 443
# A gateway whose policies or credentials change judges once more as before, by each connection that is open, and ends
# it with that answer. Idle connections it ends 30 to 45 s after the change (Istio's drainDuration): what is sent just
# then gets 503, and nothing repeats it. So the side that opens connections ends idle ones first.
# https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/operations/draining
_POOL = {"http": {"idleTimeout": "20s"}}
# Headers that sidecars and gateways of the mesh set, which tell a partner the caller's identity and address:
# https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_conn_man/headers
_OF_THE_MESH = (
    "x-forwarded-client-cert",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-envoy-attempt-count",
    "x-envoy-decorator-operation",
    "x-envoy-expected-rq-timeout-ms",
    "x-envoy-external-address",
    "x-envoy-internal",
    "x-envoy-original-path",
    "x-envoy-peer-metadata",
    "x-envoy-peer-metadata-id",
)


@dataclass(frozen=True)
class Refusal:
    """The answer of the callers' sidecars to each request for a host that the client cannot call.

    status: HTTP status
    reason: the answer's body, one line
    """

    status: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class EgressRouteArgs:
    """The host and its callers; RunError for a wrong argument.

    host: the host's name in the config, in which the names of its objects end
    domain: of the host's server
    port: of the host's server; 443 by default
    namespace: the stack's own
    gateway: the egress gateway
    secret: name of the Secret in the egress gateway's namespace with its credential and the server's CA; or the
        refusal, if the client has no credential that the host admits
    callers: their identities in the mesh
    caller_namespaces: namespaces of the callers but the stack's own; none by default
    is_partners: whether a partner serves the host, whose server gets no header that the mesh sets; not by default
    """

    host: str
    domain: str
    port: int = _HTTPS
    namespace: pulumi.Input[str]
    gateway: IstioGateway
    secret: pulumi.Output[str] | Refusal
    callers: Identities
    caller_namespaces: Sequence[str] = ()
    is_partners: bool = False

    def __post_init__(self) -> None:
        check("domain", self.domain, rules.host_name)
        check_port("port", self.port)
        check_each("caller_namespaces", self.caller_namespaces, rules.label)


class EgressRoute(pulumi.ComponentResource):
    """Makes the ServiceEntry and VirtualService of the callers' sidecars; unless they refuse each request, also the
    ServiceEntry, Gateway, VirtualService, DestinationRules and AuthorizationPolicy of the egress gateway.
    """

    def __init__(self, name: str, args: EgressRouteArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("kyma-mtls:index:EgressRoute", name, None, opts)
        self._name, self._args, self._opts = name, args, pulumi.ResourceOptions(parent=self)
        self._gateway = f"istio-egressgateway-{args.host}"
        self._entry = pulumi.Output.from_input(args.namespace).apply(lambda own: entry_host(own, args.host))
        self._seen_by = [".", *args.caller_namespaces]
        known = self._callers_entry()
        if isinstance(args.secret, Refusal):
            self._answer({"directResponse": _response(args.secret)}, [known])
        else:
            to_gateway = {"host": self._entry, "port": {"number": _HTTPS}}
            self._answer({"route": [{"destination": to_gateway}]}, [known, *self._through_gateway(args.secret)])
        self.register_outputs({})

    def _callers_entry(self) -> pulumi.Resource:
        """Make the host known to the callers' sidecars, without endpoints: by itself, each request gets 503."""
        ports = [
            {"number": _HTTP, "name": "http", "protocol": "HTTP"},
            *({"number": port, "name": f"tls-{port}", "protocol": "TLS"} for port in sorted({_HTTPS, self._args.port})),
        ]
        spec = {
            "hosts": [self._args.domain],
            "exportTo": self._seen_by,
            "location": "MESH_EXTERNAL",
            "ports": ports,
            "resolution": "STATIC",
        }
        return istio(f"{self._name}-service-entry", "ServiceEntry", self._own(self._args.host), spec, self._opts)

    def _answer(self, answer: dict[str, Any], earlier: Sequence[pulumi.Resource]) -> None:
        spec = {
            "hosts": [self._args.domain],
            "exportTo": self._seen_by,
            "gateways": ["mesh"],
            "http": [{"match": [{"port": _HTTP}], **answer}],
        }
        metadata = self._own(f"direct-{self._args.host}-through-egress-gateway")
        istio(f"{self._name}-route", "VirtualService", metadata, spec, self._after(*earlier))

    def _through_gateway(self, secret: pulumi.Output[str]) -> list[pulumi.Resource]:
        """Make what the egress gateway needs before the first request: else that would leave without a certificate."""
        admission = Admission(self._args.domain, self._args.callers)
        name = f"{self._name}-callers"
        callers = admission_policy(name, self._named("callers"), self._args.gateway, admission, self._opts)
        originate = self._destination_rule_to_server(secret, callers)
        server = self._server_entry(originate)
        self._egress_gateway()
        return [*self._to_gateway(), self._virtual_service_to_server(server)]

    def _server_entry(self, originate: pulumi.Resource) -> pulumi.Resource:
        """Make the server known to the egress gateway alone: in its namespace, since Istio merges entries of one."""
        spec = {
            "hosts": [self._args.domain],
            "exportTo": ["."],
            "location": "MESH_EXTERNAL",
            "ports": [{"number": self._args.port, "name": "https", "protocol": "HTTPS"}],
            "resolution": "DNS",
        }
        metadata = in_gateway_namespace(self._args.gateway, self._named("server-for"))
        return istio(f"{self._name}-server", "ServiceEntry", metadata, spec, self._after(originate))

    def _egress_gateway(self) -> None:
        server = {
            "port": {"number": _HTTPS, "name": "https", "protocol": "HTTPS"},
            "tls": {"mode": "ISTIO_MUTUAL"},
            # Without ./ a VirtualService of any namespace could route this server's requests:
            # https://istio.io/latest/docs/reference/config/networking/gateway/#Server
            "hosts": [f"./{self._args.domain}"],
        }
        spec = {"selector": dict(self._args.gateway.selector), "servers": [server]}
        istio(f"{self._name}-gateway", "Gateway", self._own(self._gateway), spec, self._opts)

    def _to_gateway(self) -> list[pulumi.Resource]:
        """Make the egress gateway's Pods known to the callers by the host's entry, and the TLS that leads to them.

        DestinationRules outside the stack are for the host name of the gateway's Service, or for wildcards of *.local.
        An entry for each host needs no subsets: istioctl analyze looks for the rule of a subset in the namespace of
        the route, and sidecars look in their own, and in that of the entry:
        https://github.com/istio/istio/blob/master/pkg/config/analysis/analyzers/virtualservice/destinationrules.go
        """
        gateway, seen_by = self._args.gateway, [self._args.namespace, *self._args.caller_namespaces]
        metadata = in_gateway_namespace(gateway, self._named("egressgateway-for"))
        tls = {"mode": "ISTIO_MUTUAL", "sni": self._args.domain}
        port = {"port": {"number": _HTTPS}, "connectionPool": _POOL, "tls": tls}
        rule = {
            "host": self._entry,
            "exportTo": seen_by,
            "trafficPolicy": {"portLevelSettings": [port]},
        }
        entry = {
            "hosts": [self._entry],
            "exportTo": seen_by,
            "location": "MESH_INTERNAL",
            "ports": [{"number": _HTTPS, "targetPort": gateway.port, "name": "https", "protocol": "HTTPS"}],
            "resolution": "STATIC",
            "workloadSelector": {"labels": dict(gateway.selector)},
        }
        return [
            istio(f"{self._name}-to-gateway", "DestinationRule", metadata, rule, self._opts),
            istio(f"{self._name}-entry", "ServiceEntry", metadata, entry, self._opts),
        ]

    def _destination_rule_to_server(self, secret: pulumi.Output[str], callers: pulumi.Resource) -> pulumi.Resource:
        # Sidecars cannot read the credential. Without workloadSelector, they ignore it and send plain text:
        # https://istio.io/latest/docs/reference/config/networking/destination-rule/#ClientTLSSettings
        tls = {
            "mode": "MUTUAL",
            "credentialName": secret,
            "sni": self._args.domain,
            "subjectAltNames": [self._args.domain],
        }
        to_server = {"port": {"number": self._args.port}, "connectionPool": _POOL, "tls": tls}
        # By the outer TLS, no request leaves in plain text while the port changes.
        policy = {"tls": tls, "portLevelSettings": [to_server]}
        spec = {
            "host": self._args.domain,
            "exportTo": ["."],
            "workloadSelector": {"matchLabels": dict(self._args.gateway.selector)},
            "trafficPolicy": policy,
        }
        mark = domain_mark(self._args.domain)
        name = pulumi.Output.concat(self._named("originate-mtls-for"), "-", mark)
        metadata = in_gateway_namespace(self._args.gateway, name)
        return istio(f"{self._name}-originate-mtls-{mark}", "DestinationRule", metadata, spec, self._after(callers))

    def _virtual_service_to_server(self, server: pulumi.Resource) -> pulumi.Resource:
        to_server = {"destination": {"host": self._args.domain, "port": {"number": self._args.port}}}
        route: dict[str, Any] = {"match": [{"port": _HTTPS}], "route": [to_server]}
        if self._args.is_partners:
            route["headers"] = {"request": {"remove": list(_OF_THE_MESH)}}
        spec = {
            "hosts": [self._args.domain],
            "exportTo": [self._args.gateway.namespace],
            "gateways": [self._gateway],
            "http": [route],
        }
        metadata = self._own(f"direct-{self._args.host}-from-egress-gateway")
        return istio(f"{self._name}-to-server", "VirtualService", metadata, spec, self._after(server))

    def _after(self, *earlier: pulumi.Resource) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions.merge(self._opts, pulumi.ResourceOptions(depends_on=list(earlier)))

    def _named(self, kind: str) -> pulumi.Output[str]:
        return pulumi.Output.concat(kind, "-", self._args.namespace, "-", self._args.host)

    def _own(self, name: str) -> dict[str, Any]:
        return {"name": name, "namespace": self._args.namespace}


def _response(refusal: Refusal) -> dict[str, Any]:
    return {"status": refusal.status, "body": {"string": f"{refusal.reason}\n"}}
