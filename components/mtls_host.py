"""One host of the target cluster: its certificate, its admitted clients, its Gateway and its route.

Follows "Prepare a cluster with an egress Gateway" of the mTLS tutorial
(https://developers.sap.com/tutorials/cp-kyma-mtls-requests-egress). Unlike the tutorial's, a host demands more
than a certificate of a trusted CA: it lists the identities that it admits. A host shares no object with further hosts
but the ingress gateway itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from . import certificate_names, judges, path_encoding, rules
from .arguments import check, check_choice, check_each, check_some
from .authorization import Admission, Identities, admission_policy
from .certificates import Credential, joined, mark
from .choices import Platform
from .demo import HTTPBIN, HTTPBIN_PORT
from .istio_gateway import DOCUMENTED_INGRESS, IstioGateway
from .kinds import KINDS
from .objects import credential_secret, in_gateway_namespace, istio
from .readiness import Ready

_ANY_PATH = "/*"


@dataclass(frozen=True)
class ServiceRef:
    """A Service that the cluster has already, and one of its ports, a number."""

    namespace: str
    name: str
    port: int


@dataclass(frozen=True, kw_only=True)
class MtlsHostArgs:
    """The host, its Service, and the clients that it admits; RunError for a wrong argument.

    platform: kyma (default; the route is an APIRule) or istio (it is a VirtualService)
    host: the host's name in the config, in which the names of its objects end
    domain: domain name of the host
    namespace: the stack's own
    gateway: the ingress gateway; by default, as istioctl and Kyma install it
    service: serves the host; None for the demo httpbin in `namespace`
    methods: HTTP methods that are served; GET by default
    paths: that are served, exact or ending in /*; all by default
    server: the host's credential
    ca_certificates: PEM of the CAs whose client certificates are accepted, one text or several; None for those of the
        server's credential
    admitted: identities of the clients that may call: SPIFFE URIs, or dns:NAME
    """

    platform: str = Platform.KYMA
    host: str
    domain: str
    namespace: pulumi.Input[str]
    gateway: IstioGateway = DOCUMENTED_INGRESS
    service: ServiceRef | None
    methods: Sequence[str] = ("GET",)
    paths: Sequence[str] = (_ANY_PATH,)
    server: Credential
    ca_certificates: pulumi.Input[str] | Sequence[pulumi.Input[str]] | None = None
    admitted: Sequence[str]

    def __post_init__(self) -> None:
        check_choice("platform", self.platform, Platform)
        check("domain", self.domain, rules.host_name)
        check_some("methods", self.methods, rules.method)
        check_some("paths", self.paths, rules.path)
        check_each("admitted", self.admitted, rules.identity)


class MtlsHost(pulumi.ComponentResource):
    """Makes a host's Secret and AuthorizationPolicy in the ingress gateway's namespace, its Gateway and its route; also
    EnvoyFilters, where policies cannot compare what it admits.

    secret: name of the Secret with the credential
    gateway: NAMESPACE/NAME of the Gateway
    """

    secret: pulumi.Output[str]
    gateway: pulumi.Output[str]

    def __init__(self, name: str, args: MtlsHostArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("kyma-mtls:index:MtlsHost", name, None, opts)
        self._name, self._args, self._opts = name, args, pulumi.ResourceOptions(parent=self)
        self.secret = self._credential()
        admission = [self._admission()]
        if certificate_names.are_compared(args.admitted):
            admission.append(self._names_filter())
        self.gateway = self._gateway(admission)
        if args.platform == Platform.KYMA:
            self._api_rule([self._refusing_filter()] if path_encoding.is_misreadable(args.paths) else [])
        else:
            self._virtual_service()
        self.register_outputs({"gateway": self.gateway})

    def _credential(self) -> pulumi.Output[str]:
        server, trusted = self._args.server, self._args.ca_certificates
        version = f".{server.generations}{mark(trusted)}"
        name = pulumi.Output.concat(self._named("kyma-mtls-certs"), version)
        cacert = joined(server.trusted if trusted is None else trusted)
        return credential_secret(
            f"{self._name}-certs{version}",
            in_gateway_namespace(self._args.gateway, name),
            {"cacert": cacert, "cert": server.certificate, "key": server.key},
            self._opts,
        ).metadata.name

    def _admission(self) -> pulumi.Resource:
        """Return the policy of the ingress gateway; on platform kyma, the APIRule restricts methods and paths."""
        spiffe = [
            identity.removeprefix("spiffe://") for identity in self._args.admitted if identity.startswith("spiffe://")
        ]
        dns = [identity.removeprefix("dns:") for identity in self._args.admitted if identity.startswith("dns:")]
        by_policy = self._args.platform != Platform.KYMA
        admission = Admission(
            self._args.domain,
            Identities(principals=spiffe, dns_names=dns),
            methods=self._args.methods if by_policy else (),
            paths=self._args.paths if by_policy and _ANY_PATH not in self._args.paths else (),
        )
        name = self._named("admission")
        return admission_policy(f"{self._name}-admission", name, self._args.gateway, admission, self._opts)

    def _names_filter(self) -> pulumi.Resource:
        args = self._args
        metadata = in_gateway_namespace(args.gateway, self._named("names"))
        spec = certificate_names.refusing_filter(args.gateway.selector, args.domain, args.admitted)
        return istio(f"{self._name}-names", "EnvoyFilter", metadata, spec, self._opts)

    def _gateway(self, admission: Sequence[pulumi.Resource]) -> pulumi.Output[str]:
        tls: dict[str, Any] = {"mode": "MUTUAL", "credentialName": self.secret}
        if certificate_names.are_compared(self._args.admitted):
            # Further certificates end in the handshake.
            tls["subjectAltNames"] = certificate_names.names(self._args.admitted)
        spec = {
            "selector": dict(self._args.gateway.selector),
            "servers": [
                {
                    "port": {"number": 443, "name": "mtls", "protocol": "HTTPS"},
                    "tls": tls,
                    # Without ./ a VirtualService of any namespace could route this server's requests:
                    # https://istio.io/latest/docs/reference/config/networking/gateway/#Server
                    "hosts": [f"./{self._args.domain}"],
                }
            ],
        }
        after = pulumi.ResourceOptions.merge(self._opts, pulumi.ResourceOptions(depends_on=list(admission)))
        return istio(
            f"{self._name}-gateway", "Gateway", self._own(f"kyma-mtls-gateway-{self._args.host}"), spec, after
        ).id

    def _refusing_filter(self) -> pulumi.Resource:
        # The VirtualService is Kyma's, and an APIRule cannot refuse a path.
        metadata = in_gateway_namespace(self._args.gateway, self._named("paths"))
        spec = path_encoding.refusing_filter(self._args.gateway.selector, self.gateway)
        return istio(f"{self._name}-paths", "EnvoyFilter", metadata, spec, self._opts)

    def _api_rule(self, after: Sequence[pulumi.Resource]) -> None:
        name, namespace, port = self._destination()
        paths = [path if path == _ANY_PATH else path.replace("/*", "/{**}") for path in self._args.paths]
        rule = k8s.apiextensions.CustomResource(
            f"{self._name}-route",
            api_version=KINDS["APIRule"],
            kind="APIRule",
            metadata=self._own(self._args.host),
            spec={
                "hosts": [self._args.domain],
                "gateway": self.gateway,
                "service": {"name": name, "namespace": namespace, "port": port},
                "rules": [{"path": path, "methods": list(self._args.methods), "noAuth": True} for path in paths],
            },
            opts=pulumi.ResourceOptions.merge(
                self._opts,
                # The operator's finalizer holds a deleted APIRule for as long as the operator does not run.
                pulumi.ResourceOptions(depends_on=after, custom_timeouts=pulumi.CustomTimeouts(delete="2m")),
            ),
        )
        Ready(f"{self._name}-route", rule, judges.api_rule, self._opts)

    def _virtual_service(self) -> None:
        name, namespace, port = self._destination()
        service = pulumi.Output.concat(name, ".", namespace, ".svc.cluster.local")
        http: list[dict[str, Any]] = [{"route": [{"destination": {"host": service, "port": {"number": port}}}]}]
        if path_encoding.is_misreadable(self._args.paths):
            http.insert(0, path_encoding.refusing_route())
        spec = {
            "hosts": [self._args.domain],
            "gateways": [self.gateway],
            "exportTo": [".", self._args.gateway.namespace],
            "http": http,
        }
        istio(f"{self._name}-route", "VirtualService", self._own(self._args.host), spec, self._opts)

    def _destination(self) -> tuple[str, pulumi.Input[str], int]:
        if service := self._args.service:
            return service.name, service.namespace, service.port
        return HTTPBIN, self._args.namespace, HTTPBIN_PORT

    def _named(self, kind: str) -> pulumi.Output[str]:
        return pulumi.Output.concat(kind, "-", self._args.namespace, "-", self._args.host)

    def _own(self, name: str) -> dict[str, Any]:
        return {"name": name, "namespace": self._args.namespace}
