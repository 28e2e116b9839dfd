"""The component KymaGateway: the Gateway for *.DOMAIN, and its certificate in all places of Kyma's documents."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from ..istio_gateway import IstioGateway
from ..objects import credential_secret, istio
from .addresses import demo_domain, ip_stack
from .apiserver_proxy import ApiserverProxy, ApiserverProxyArgs
from .certificate import CertificateArgs, GardenerArgs, Issued, OwnArgs, Wanted, certificate_source
from .gardener import DnsTargets
from .legacy_installer import make_overrides, overrides
from .places import Places
from .take_over import TakeOver, make_namespace, release


@dataclass(frozen=True)
class KymaGatewayArgs:
    """What the gateway serves, and where its parts go.

    domain: without `*.`; empty for one at sslip.io, derived from the ingress gateway's IP address
    ingress: the ingress gateway
    namespace: the stack's own; also ends the names of objects in the ingress gateway's namespace
    take_over: the documented names; None for names of the stack's own
    certificate: where the certificate comes from
    cipher_suites: of TLS 1.2, by Envoy's names, best first
    apiserver_proxy: whether the apiserver-proxy gets a load balancer, a certificate and a DNS entry
    legacy_installer: whether the overrides of Kyma 1's installer are made. Unless Gardener issues the certificate, they
        hold the private key in a ConfigMap, which is often readable where Secrets are not
    service_entry_hosts: host names outside the cluster for which the mesh gets a ServiceEntry each
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

    domain: without `*.`
    gateway: NAMESPACE/NAME of the Gateway
    secret, ca_secret: names of the Secrets of the ingress gateway that hold the certificate, and its CA
    ca_certificate: PEM
    apiserver_proxy: None if not asked for
    """

    domain: pulumi.Output[str]
    gateway: pulumi.Output[str]
    secret: pulumi.Output[str]
    ca_secret: pulumi.Output[str]
    ca_certificate: pulumi.Output[str]
    apiserver_proxy: ApiserverProxy | None = None

    def __init__(self, name: str, args: KymaGatewayArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("kyma-mtls:index:KymaGateway", name, None, opts)
        places, children = _make_places(name, args, pulumi.ResourceOptions(parent=self))
        self.domain = pulumi.Output.from_input(args.domain or demo_domain(args.ingress.address))
        hosts = pulumi.Output.concat("*.", self.domain)
        source = certificate_source(name, args.certificate, children)
        wanted = Wanted(hosts, places.in_ingress("kyma-gateway-certs"), places.in_ingress("kyma-tls-cert"))
        issued = source.issue(f"{name}-certificate", wanted, children)
        self.secret, self.ca_certificate = wanted.secret["name"], issued.ca_certificate
        self.ca_secret = places.in_ingress("kyma-gateway-certs", "-cacert")["name"]
        _propagate(name, issued, places, children)
        spec = {"selector": dict(args.ingress.selector), "servers": _servers(hosts, self.secret, args.cipher_suites)}
        self.gateway = istio(f"{name}-gateway", "Gateway", places.in_system("kyma-gateway"), spec, children).id
        gardener = args.certificate.gardener if isinstance(args.certificate, GardenerArgs) else None
        if gardener:
            targets = DnsTargets(list(args.ingress.addresses), ip_stack(args.ingress.ip_families))
            gardener.dns_entry(f"{name}-dns", places.in_system("kyma-gateway"), hosts, targets, children)
        if args.apiserver_proxy:
            proxy = ApiserverProxyArgs(args.domain, places, source, gardener)
            self.apiserver_proxy = ApiserverProxy(f"{name}-apiserver-proxy", proxy, children)
        if args.legacy_installer:
            data = overrides(self.domain, issued, is_users=isinstance(args.certificate, OwnArgs))
            make_overrides(name, places, data, children)
        for host in args.service_entry_hosts:
            metadata = {"name": host, "namespace": args.namespace}
            istio(f"{name}-{host}", "ServiceEntry", metadata, _external(host), children)
        self.register_outputs({"domain": self.domain, "gateway": self.gateway})


def _make_places(
    name: str, args: KymaGatewayArgs, opts: pulumi.ResourceOptions
) -> tuple[Places, pulumi.ResourceOptions]:
    """Return where objects go, and options that make them once they can go there."""
    if not args.take_over:
        return Places(args.namespace, args.namespace, args.ingress, pulumi.Output.concat("-", args.namespace)), opts
    system, installer = (
        make_namespace(name, namespace, args.take_over, opts) for namespace in ("kyma-system", "kyma-installer")
    )
    if args.take_over.operator:
        released = pulumi.ResourceOptions(depends_on=release(name, args.take_over, opts))
        opts = pulumi.ResourceOptions.merge(opts, released)
    return Places(system, installer, args.ingress), opts


def _propagate(name: str, issued: Issued, places: Places, opts: pulumi.ResourceOptions) -> None:
    """Put the CA where the ingress gateway looks for it, and the certificate where Kyma's components do."""
    ca = {"cacert": issued.ca_certificate}
    credential_secret(f"{name}-ca", places.in_ingress("kyma-gateway-certs", "-cacert"), ca, opts)
    # Its readers verify with it only: it holds no key.
    certificate = {"tls.crt": issued.certificate}
    credential_secret(f"{name}-ingress", places.in_system("ingress-tls-cert"), certificate, opts)


def _servers(
    hosts: pulumi.Output[str], secret: pulumi.Output[str], cipher_suites: Sequence[str]
) -> list[Mapping[str, Any]]:
    https = {
        "port": {"number": 443, "name": "https", "protocol": "HTTPS"},
        "tls": {
            "mode": "SIMPLE",
            "credentialName": secret,
            "minProtocolVersion": "TLSV1_2",
            "cipherSuites": list(cipher_suites),
        },
        "hosts": [hosts],
    }
    http = {
        "port": {"number": 80, "name": "http", "protocol": "HTTP"},
        "tls": {"httpsRedirect": True},
        "hosts": [hosts],
    }
    return [https, http]


def _external(host: str) -> dict[str, Any]:
    return {
        "hosts": [host],
        "location": "MESH_EXTERNAL",
        "resolution": "DNS",
        "ports": [
            {"number": 80, "name": "http", "protocol": "HTTP"},
            {"number": 443, "name": "tls", "protocol": "TLS"},
        ],
    }
