"""The cluster's default gateway: what *.DOMAIN is reached through, with the certificate propagated to who needs it.

Follows "Ingress and Egress traffic" of Kyma, in both its editions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from .apiserver_proxy import ApiserverProxy, ApiserverProxyArgs
from .gateway_certificate import (
    CertificateArgs,
    GardenerArgs,
    Issued,
    OwnArgs,
    Wanted,
    certificate_source,
)
from .istio_gateway import IstioGateway
from .kubernetes import credential_secret, demo_domain, in_base64, in_gateway_namespace, ip_stack, istio
from .lifecycle import OWNER
from .readiness import Judge, Ready

_OVERRIDES = {"installer": "overrides", "kyma-project.io/installation": ""}


@dataclass(frozen=True)
class TakeOver:
    """The documented names and namespaces, which a cluster has once; without it, everything is the stack's own.

    namespaces: of kyma-system and kyma-installer, those that the stack makes
    operator: whether Kyma's API Gateway module has to give up its gateway
    owner: the stack's mark, set on what the operator has to give up
    given_up: judges whether it has
    given_back: hook that gives it back at the end
    """

    namespaces: Sequence[str]
    operator: bool
    owner: pulumi.Input[str]
    given_up: Judge
    given_back: pulumi.ResourceHookBinding


@dataclass(frozen=True)
class KymaGatewayArgs:
    """What is served, and where its parts go.

    domain: without the `*.`; empty for one derived from the gateway's address
    ingress: the ingress gateway
    namespace: the stack's own; also ends the names of what goes beside the ingress gateway
    take_over: None leaves the documented names to others
    certificate: the mode and its settings
    cipher_suites: of TLS 1.2, best first
    apiserver_proxy: whether the proxy gets its load balancer, certificate and DNS entry
    legacy_installer: whether the overrides of the old installer are made. In modes other than Gardener's they hold the
        private key in a ConfigMap, which is often readable where Secrets are not
    service_entry_hosts: host names outside that the mesh is to know
    """

    domain: str
    ingress: IstioGateway
    namespace: pulumi.Input[str]
    take_over: TakeOver | None
    certificate: CertificateArgs
    cipher_suites: Sequence[str]
    apiserver_proxy: bool
    legacy_installer: bool
    service_entry_hosts: Sequence[str]


class KymaGateway(pulumi.ComponentResource):
    """Makes the Gateway kyma-gateway, its certificate, and the Secrets and ConfigMaps that the certificate goes into.

    Gives `domain`, `gateway` (NAMESPACE/NAME), `secret` and `ca_secret` (names), `ca_certificate` (PEM) and
    `apiserver_proxy` (None if not asked for).
    """

    domain: pulumi.Output[str]
    gateway: pulumi.Output[str]
    secret: pulumi.Output[str]
    ca_secret: pulumi.Output[str]
    ca_certificate: pulumi.Output[str]
    apiserver_proxy: ApiserverProxy | None = None

    def __init__(self, name: str, args: KymaGatewayArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("kyma-mtls:index:KymaGateway", name, None, opts)
        self._name, self._args, self._opts = name, args, pulumi.ResourceOptions(parent=self)
        self._suffix = "" if args.take_over else pulumi.Output.concat("-", args.namespace)
        self._system = self._installer = args.namespace
        if args.take_over:
            self._take_over(args.take_over)
        self.domain = pulumi.Output.from_input(args.domain or demo_domain(args.ingress.address))
        self._hosts = pulumi.Output.concat("*.", self.domain)
        source = certificate_source(name, args.certificate, self._opts)
        gardener = args.certificate.gardener if isinstance(args.certificate, GardenerArgs) else None
        secret, certificate = map(self._beside_ingress, ("kyma-gateway-certs", "kyma-tls-cert"))
        issued = source.issue(f"{name}-certificate", Wanted(self._hosts, secret, certificate), self._opts)
        self.secret, self.ca_certificate = secret["name"], issued.ca_certificate
        self.ca_secret = pulumi.Output.concat(self.secret, "-cacert")
        self._propagate(issued)
        self.gateway = self._gateway()
        if gardener:
            targets, families = list(args.ingress.addresses), ip_stack(args.ingress.ip_families)
            gardener.dns_entry(f"{name}-dns", self._place("kyma-gateway"), self._hosts, targets, families, self._opts)
        if args.apiserver_proxy:
            proxy = ApiserverProxyArgs(args.domain, self._place, source, gardener)
            self.apiserver_proxy = ApiserverProxy(f"{name}-apiserver-proxy", proxy, self._opts)
        if args.legacy_installer:
            self._legacy_installer(issued)
        self._service_entries()
        self.register_outputs({"domain": self.domain, "gateway": self.gateway})

    def _take_over(self, take_over: TakeOver) -> None:
        def place(namespace: str) -> pulumi.Input[str]:
            if namespace not in take_over.namespaces:
                return namespace
            return k8s.core.v1.Namespace(
                f"{self._name}-{namespace}", metadata={"name": namespace}, opts=self._opts
            ).metadata.name

        self._system, self._installer = place("kyma-system"), place("kyma-installer")
        if take_over.operator:
            # Force would override another stack's mark, too: that one is set without.
            mark = self._patch_module("owner", {"labels": {OWNER: take_over.owner}})
            options = pulumi.ResourceOptions(depends_on=[mark], hooks=take_over.given_back)
            force = {"annotations": {"pulumi.com/patchForce": "true"}}
            switch = self._patch_module("operator", force, {"enableKymaGateway": False}, options)
            given_up = Ready(f"{self._name}-operator", switch, take_over.given_up, self._opts)
            self._opts.depends_on = [switch, given_up]

    def _patch_module(
        self,
        resource: str,
        metadata: Mapping[str, object],
        spec: Mapping[str, object] | None = None,
        options: pulumi.ResourceOptions | None = None,
    ) -> pulumi.Resource:
        return k8s.apiextensions.CustomResourcePatch(
            f"{self._name}-{resource}",
            api_version="operator.kyma-project.io/v1alpha1",
            kind="APIGateway",
            metadata={"name": "default", **metadata},
            spec=spec,
            opts=pulumi.ResourceOptions.merge(self._opts, options),
        )

    def _place(self, name: str) -> dict[str, Any]:
        """Metadata of an object in kyma-system, or in the stack's own namespace."""
        return {"name": name, "namespace": self._system}

    def _beside_ingress(self, name: str) -> dict[str, Any]:
        return in_gateway_namespace(self._args.ingress, pulumi.Output.concat(name, self._suffix))

    def _gateway(self) -> pulumi.Output[str]:
        https = {
            "port": {"number": 443, "name": "https", "protocol": "HTTPS"},
            "tls": {
                "mode": "SIMPLE",
                "credentialName": self.secret,
                "minProtocolVersion": "TLSV1_2",
                "cipherSuites": list(self._args.cipher_suites),
            },
            "hosts": [self._hosts],
        }
        http = {
            "port": {"number": 80, "name": "http", "protocol": "HTTP"},
            "tls": {"httpsRedirect": True},
            "hosts": [self._hosts],
        }
        spec = {"selector": dict(self._args.ingress.selector), "servers": [https, http]}
        return istio(f"{self._name}-gateway", "Gateway", self._place("kyma-gateway"), spec, self._opts).id

    def _propagate(self, issued: Issued) -> None:
        ca = {"cacert": issued.ca_certificate}
        credential_secret(f"{self._name}-ca", in_gateway_namespace(self._args.ingress, self.ca_secret), ca, self._opts)
        # Its readers only verify with it: the key stays out.
        ingress = self._place("ingress-tls-cert")
        credential_secret(f"{self._name}-ingress", ingress, {"tls.crt": issued.certificate}, self._opts)

    def _legacy_installer(self, issued: Issued) -> None:
        if issued.key is None:
            domain = {"global.domainName": self.domain, "global.ingress.domainName": self.domain}
            self._overrides("net-global-overrides", domain)
            return
        certificate, key = in_base64(issued.certificate), in_base64(issued.key)
        self._overrides(
            "net-global-overrides",
            {
                "global.ingress.domainName": self.domain,
                "global.ingress.tlsCrt": certificate,
                "global.ingress.tlsKey": key,
            },
        )
        if isinstance(self._args.certificate, OwnArgs):
            self._overrides("my-certificate-overrides", {"global.tlsCrt": certificate, "global.tlsKey": key})

    def _overrides(self, name: str, data: Mapping[str, pulumi.Output[str]]) -> None:
        k8s.core.v1.ConfigMap(
            f"{self._name}-{name}",
            metadata={**self._place(name), "namespace": self._installer, "labels": _OVERRIDES},
            data=data,
            opts=self._opts,
        )

    def _service_entries(self) -> None:
        for host in self._args.service_entry_hosts:
            spec = {
                "hosts": [host],
                "location": "MESH_EXTERNAL",
                "resolution": "DNS",
                "ports": [
                    {"number": 80, "name": "http", "protocol": "HTTP"},
                    {"number": 443, "name": "tls", "protocol": "TLS"},
                ],
            }
            metadata = {"name": host, "namespace": self._args.namespace}
            istio(f"{self._name}-{host}", "ServiceEntry", metadata, spec, self._opts)
