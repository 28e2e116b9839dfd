"""The way to the Kubernetes API through Kyma's apiserver-proxy, with a certificate and a DNS entry of its own.

Follows "Apiserver-proxy" of Kyma 1's "Ingress and Egress traffic"
(https://github.com/kyma-project/kyma/blob/fb87b74ee2fe06a8d2b549fe2ba748fa42fada99/docs/security/03-04-ingress-egress-traffic.md).
Kyma no longer publishes the proxy itself: the Service selects Pods by the proxy's label.
"""

from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from .addresses import demo_domain, ip_stack, load_balancer_addresses
from .certificate import CertificateSource, Wanted
from .gardener import DnsTargets, Gardener
from .places import Places

# The provider's own wait for a Service waits for its Pods, too.
_HAS_ADDRESS = {"pulumi.com/waitFor": "jsonpath={.status.loadBalancer.ingress[0]}"}


@dataclass(frozen=True)
class ApiserverProxyArgs:
    """How clients reach the proxy.

    domain: its host name is apiserver.DOMAIN; empty for a domain derived from the address of its load balancer
    places: where its objects are
    source: issues its certificate
    gardener: makes its DNS entry; without it, an annotation asks external-dns for one
    """

    domain: str
    places: Places
    source: CertificateSource
    gardener: Gardener | None


class ApiserverProxy(pulumi.ComponentResource):
    """Makes the LoadBalancer Service apiserver-proxy-ssl, its certificate in the Secret apiserver-proxy-tls-cert, the
    ConfigMap apiserver-proxy and the DNS entry.

    host: apiserver.DOMAIN
    address: IP address or host name of its load balancer
    """

    host: pulumi.Output[str]
    address: pulumi.Output[str]

    def __init__(self, name: str, args: ApiserverProxyArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("kyma-mtls:index:ApiserverProxy", name, None, opts)
        children = pulumi.ResourceOptions(parent=self)
        given = f"apiserver.{args.domain}" if args.domain else ""
        service = self._service(name, args.places.in_system("apiserver-proxy-ssl"), given, children)
        addresses = service.status.apply(load_balancer_addresses)
        self.address = addresses.apply(lambda known: next(iter(known or ()), ""))
        domain = pulumi.Output.from_input(args.domain) if args.domain else self.address.apply(demo_domain)
        self.host = pulumi.Output.concat("apiserver.", domain)
        k8s.core.v1.ConfigMap(
            f"{name}-domain",
            metadata=args.places.in_system("apiserver-proxy"),
            data={"DOMAIN": domain},
            opts=children,
        )
        certificate = args.places.in_system("apiserver-proxy-tls-cert")
        args.source.issue(f"{name}-certificate", Wanted(self.host, certificate, certificate), children)
        if args.gardener:
            families = service.spec.apply(lambda spec: spec.ip_families or [])
            stack = pulumi.Output.all(families, service.id).apply(_ip_stack)
            metadata = args.places.in_system("apiserver-proxy")
            args.gardener.dns_entry(f"{name}-dns", metadata, self.host, DnsTargets(addresses, stack), children)
        self.register_outputs({"host": self.host, "address": self.address})

    def _service(
        self, name: str, metadata: dict[str, Any], host: str, opts: pulumi.ResourceOptions
    ) -> k8s.core.v1.Service:
        external_dns = {"external-dns.alpha.kubernetes.io/hostname": host} if host else {}
        return k8s.core.v1.Service(
            f"{name}-service",
            metadata={**metadata, "annotations": {**_HAS_ADDRESS, **external_dns}},
            spec={
                "type": "LoadBalancer",
                "ports": [{"name": "https", "port": 443, "target_port": "secure"}],
                "selector": {"app": "apiserver-proxy"},
            },
            opts=opts,
        )


def _ip_stack(known: list[Any]) -> Any:
    """Return the IP families of a Service that is made already, as Gardener writes them: the cluster chooses them."""
    families, _ = known
    return ip_stack(families) if families or not pulumi.runtime.is_dry_run() else pulumi.UNKNOWN
