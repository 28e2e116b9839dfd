"""The route of a client cluster's callers to one host: plain HTTP to the egress gateway, mutual TLS from there.

Follows "Expose the workload" of the mTLS tutorial (https://developers.sap.com/tutorials/cp-kyma-mtls-requests-egress).
Unlike the tutorial's, the egress gateway admits the declared callers alone and verifies the server's name, and callers
reach it by mutual TLS of the mesh. A host shares no object with further hosts but the egress gateway itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from . import rules
from .arguments import check, check_each, check_port
from .authorization import Admission, Identities, admission_policy
from .istio_gateway import IstioGateway
from .objects import in_gateway_namespace, istio


@dataclass(frozen=True, kw_only=True)
class EgressRouteArgs:
    """The host and its callers; RunError for a wrong argument.

    host: the host's name in the config, in which the names of its objects end
    domain: of the host's server
    port: of the host's server; 443 by default
    namespace: the stack's own
    gateway: the egress gateway
    secret: name of the Secret in the egress gateway's namespace with its credential and the server's CA
    callers: their identities in the mesh
    caller_namespaces: namespaces of the callers but the stack's own; none by default
    """

    host: str
    domain: str
    port: int = 443
    namespace: pulumi.Input[str]
    gateway: IstioGateway
    secret: pulumi.Output[str]
    callers: Identities
    caller_namespaces: Sequence[str] = ()

    def __post_init__(self) -> None:
        check("domain", self.domain, rules.host_name)
        check_port("port", self.port)
        check_each("caller_namespaces", self.caller_namespaces, rules.label)


class EgressRoute(pulumi.ComponentResource):
    """Makes the ServiceEntry, Gateway, VirtualService, DestinationRules and AuthorizationPolicy of one host."""

    def __init__(self, name: str, args: EgressRouteArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("kyma-mtls:index:EgressRoute", name, None, opts)
        self._name, self._args, self._opts = name, args, pulumi.ResourceOptions(parent=self)
        self._gateway = f"istio-egressgateway-{args.host}"
        self._subset = pulumi.Output.concat(args.namespace, "-", args.host)
        self._seen_by = [".", args.gateway.namespace, *args.caller_namespaces]
        admission = Admission(args.domain, args.callers)
        callers = admission_policy(f"{name}-callers", self._named("callers"), args.gateway, admission, self._opts)
        originate = self._destination_rule_to_target(callers)
        self._service_entry()
        self._egress_gateway()
        self._destination_rule_to_gateway()
        self._virtual_service(originate)
        self.register_outputs({})

    def _service_entry(self) -> None:
        ports = [
            {"number": 80, "name": "http", "protocol": "HTTP"},
            {"number": self._args.port, "name": "https", "protocol": "HTTPS"},
        ]
        spec = {
            "hosts": [self._args.domain],
            "exportTo": self._seen_by,
            "location": "MESH_EXTERNAL",
            "ports": ports,
            "resolution": "DNS",
        }
        istio(f"{self._name}-service-entry", "ServiceEntry", self._own(self._args.host), spec, self._opts)

    def _egress_gateway(self) -> None:
        server = {
            "port": {"number": 443, "name": "https", "protocol": "HTTPS"},
            "tls": {"mode": "ISTIO_MUTUAL"},
            # Without ./ a VirtualService of any namespace could route this server's requests:
            # https://istio.io/latest/docs/reference/config/networking/gateway/#Server
            "hosts": [f"./{self._args.domain}"],
        }
        spec = {"selector": dict(self._args.gateway.selector), "servers": [server]}
        istio(f"{self._name}-gateway", "Gateway", self._own(self._gateway), spec, self._opts)

    def _destination_rule_to_gateway(self) -> None:
        # Sidecars look for the rule in their own namespace and in the gateway's. Istio merges subsets of rules for one
        # Service only if they have the same exportTo:
        # https://github.com/istio/istio/blob/master/pilot/pkg/model/destination_rule.go
        tls = {"mode": "ISTIO_MUTUAL", "sni": self._args.domain}
        policy = {"portLevelSettings": [{"port": {"number": 443}, "tls": tls}]}
        spec = {
            "host": self._args.gateway.host,
            "exportTo": ["*"],
            "subsets": [{"name": self._subset, "trafficPolicy": policy}],
        }
        metadata = in_gateway_namespace(self._args.gateway, self._named("egressgateway-for"))
        istio(f"{self._name}-to-gateway", "DestinationRule", metadata, spec, self._opts)

    def _destination_rule_to_target(self, callers: pulumi.Resource) -> pulumi.Resource:
        # Sidecars cannot read the credential. Without workloadSelector, they ignore it and send plain text:
        # https://istio.io/latest/docs/reference/config/networking/destination-rule/#ClientTLSSettings
        tls = {
            "mode": "MUTUAL",
            "credentialName": self._args.secret,
            "sni": self._args.domain,
            "subjectAltNames": [self._args.domain],
        }
        spec = {
            "host": self._args.domain,
            "exportTo": ["."],
            "workloadSelector": {"matchLabels": dict(self._args.gateway.selector)},
            "trafficPolicy": {"portLevelSettings": [{"port": {"number": self._args.port}, "tls": tls}]},
        }
        return istio(
            f"{self._name}-originate-mtls",
            "DestinationRule",
            in_gateway_namespace(self._args.gateway, self._named("originate-mtls-for")),
            spec,
            pulumi.ResourceOptions.merge(self._opts, pulumi.ResourceOptions(depends_on=[callers])),
        )

    def _virtual_service(self, originate: pulumi.Resource) -> None:
        to_gateway = {"host": self._args.gateway.host, "subset": self._subset, "port": {"number": 443}}
        to_target = {"host": self._args.domain, "port": {"number": self._args.port}}
        spec = {
            "hosts": [self._args.domain],
            "exportTo": self._seen_by,
            "gateways": [self._gateway, "mesh"],
            "http": [
                {"match": [{"gateways": ["mesh"], "port": 80}], "route": [{"destination": to_gateway}]},
                {"match": [{"gateways": [self._gateway], "port": 443}], "route": [{"destination": to_target}]},
            ],
        }
        # Without this order, the first requests would leave without a client certificate.
        after = pulumi.ResourceOptions.merge(self._opts, pulumi.ResourceOptions(depends_on=[originate]))
        metadata = self._own(f"direct-{self._args.host}-through-egress-gateway")
        istio(f"{self._name}-route", "VirtualService", metadata, spec, after)

    def _named(self, kind: str) -> pulumi.Output[str]:
        return pulumi.Output.concat(kind, "-", self._args.namespace, "-", self._args.host)

    def _own(self, name: str) -> dict[str, Any]:
        return {"name": name, "namespace": self._args.namespace}
