"""The cluster that serves: httpbin behind an ingress gateway that demands a client certificate.

Follows "Prepare a cluster with an egress Gateway" of the mTLS tutorial.
"""

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.certificates import Credential
from components.kubernetes import (
    INGRESS_GATEWAY,
    ISTIO_SYSTEM,
    Ownership,
    credential_secret,
    injected_namespace,
    load_balancer_address,
    workload,
)

CERTIFICATES = "kyma-mtls-certs"

_INGRESS_PRINCIPAL = "*/ns/istio-system/sa/istio-ingressgateway-service-account"


@dataclass(frozen=True)
class MtlsTargetArgs:
    """What is served, and to whom.

    platform: kyma (an APIRule is the route) or istio (a VirtualService and an AuthorizationPolicy are)
    domain: host name that the gateway serves
    namespace: made for the workload and the gateway
    ownership: marks the namespace and what goes into istio-system
    image: a go-httpbin that listens on 8080
    server: the gateway's credential
    ca_certificate: PEM of the CA whose client certificates are admitted
    """

    platform: str
    domain: str
    namespace: pulumi.Input[str]
    ownership: Ownership
    image: str
    server: Credential
    ca_certificate: pulumi.Output[str]


class MtlsTarget(pulumi.ComponentResource):
    """Makes the namespace, httpbin, the Secret kyma-mtls-certs, the Gateway kyma-mtls-gateway and the route to httpbin.

    Gives `namespace`, `secret` (its name), `gateway` (NAMESPACE/NAME) and `address` of the ingress gateway: an IP
    address or host name, empty while its load balancer has none.
    """

    namespace: pulumi.Output[str]
    secret: pulumi.Output[str]
    gateway: pulumi.Output[str]
    address: pulumi.Output[str]

    def __init__(self, name: str, args: MtlsTargetArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("kyma-mtls:index:MtlsTarget", name, None, opts)
        self._name, self._args, self._opts = name, args, pulumi.ResourceOptions(parent=self)
        self.namespace = injected_namespace(
            f"{name}-namespace", args.namespace, args.ownership, self._opts
        ).metadata.name
        self._service = self._httpbin()
        self.secret = credential_secret(
            f"{name}-certs",
            args.ownership.metadata(CERTIFICATES),
            {"cacert": args.ca_certificate, "cert": args.server.certificate, "key": args.server.key},
            self._opts,
        ).metadata.name
        self.gateway = self._gateway()
        if args.platform == "kyma":
            self._api_rule()
        else:
            self._virtual_service()
            self._authorization_policy()
        self.address = self._ingress_address()
        self.register_outputs({"gateway": self.gateway, "address": self.address})

    def _httpbin(self) -> k8s.core.v1.Service:
        return workload(
            f"{self._name}-httpbin",
            "httpbin",
            self.namespace,
            {"image": self._args.image, "ports": [{"container_port": 8080}]},
            {"name": "http", "port": 8000, "target_port": 8080},
            {"networking.kyma-project.io/from-ingressgateway": "allowed"},
            self._opts,
        )

    def _gateway(self) -> pulumi.Output[str]:
        return k8s.apiextensions.CustomResource(
            f"{self._name}-gateway",
            api_version="networking.istio.io/v1",
            kind="Gateway",
            metadata={"name": "kyma-mtls-gateway", "namespace": self.namespace},
            spec={
                "selector": INGRESS_GATEWAY,
                "servers": [
                    {
                        "port": {"number": 443, "name": "mtls", "protocol": "HTTPS"},
                        "tls": {"mode": "MUTUAL", "credentialName": self.secret},
                        "hosts": [self._args.domain],
                    }
                ],
            },
            opts=self._opts,
        ).id

    def _api_rule(self) -> None:
        k8s.apiextensions.CustomResource(
            f"{self._name}-route",
            api_version="gateway.kyma-project.io/v2",
            kind="APIRule",
            metadata={
                "name": "httpbin",
                "namespace": self.namespace,
                "annotations": {"pulumi.com/waitFor": "jsonpath={.status.state}=Ready"},
            },
            spec={
                "hosts": [self._args.domain],
                "gateway": self.gateway,
                "service": {"name": self._service.metadata.name, "namespace": self.namespace, "port": 8000},
                "rules": [{"path": "/*", "methods": ["GET"], "noAuth": True}],
            },
            opts=self._opts,
        )

    def _virtual_service(self) -> None:
        k8s.apiextensions.CustomResource(
            f"{self._name}-route",
            api_version="networking.istio.io/v1",
            kind="VirtualService",
            metadata={"name": "httpbin", "namespace": self.namespace},
            spec={
                "hosts": [self._args.domain],
                "gateways": [self.gateway],
                "exportTo": [".", ISTIO_SYSTEM],
                "http": [
                    {
                        "match": [{"uri": {"prefix": "/"}}],
                        "route": [{"destination": {"host": self._service.metadata.name, "port": {"number": 8000}}}],
                    }
                ],
            },
            opts=self._opts,
        )

    def _authorization_policy(self) -> None:
        k8s.apiextensions.CustomResource(
            f"{self._name}-authorization",
            api_version="security.istio.io/v1",
            kind="AuthorizationPolicy",
            metadata={"name": "httpbin", "namespace": self.namespace},
            spec={
                "selector": {"matchLabels": {"app": "httpbin"}},
                "action": "ALLOW",
                "rules": [
                    {
                        "from": [{"source": {"principals": [_INGRESS_PRINCIPAL]}}],
                        "to": [{"operation": {"hosts": [self._args.domain], "methods": ["GET"], "paths": ["/*"]}}],
                    }
                ],
            },
            opts=self._opts,
        )

    def _ingress_address(self) -> pulumi.Output[str]:
        service = k8s.core.v1.Service.get(f"{self._name}-ingress", f"{ISTIO_SYSTEM}/istio-ingressgateway", self._opts)
        return service.status.apply(load_balancer_address)


def claims(namespace: str) -> list[str]:
    """API paths of what MtlsTarget makes under a name that others may have used."""
    return [f"/api/v1/namespaces/{namespace}", f"/api/v1/namespaces/{ISTIO_SYSTEM}/secrets/{CERTIFICATES}"]
