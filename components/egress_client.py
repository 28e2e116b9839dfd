"""The cluster that calls out: curl, whose plain HTTP leaves through the egress gateway, which originates mutual TLS.

Follows "Expose the workload" and "Enhance Security by Implementing NetworkPolicies" of the mTLS tutorial. Beyond it,
the egress gateway verifies the server's name, the hop to the egress gateway is mutual TLS of the mesh, the access log
is that of the egress gateway alone, and the NetworkPolicy knows DNS over TCP and Gardener's DNS Pods.
"""

from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components.certificates import Credential
from components.kubernetes import (
    EGRESS_GATEWAY,
    ISTIO_SYSTEM,
    Ownership,
    credential_secret,
    injected_namespace,
    workload,
)

CREDENTIAL = "client-credential"
ACCESS_LOG = "egress-access-log"
ORIGINATE_MTLS = "originate-mtls-for-httpbin"

_GATEWAY_HOST = "istio-egressgateway.istio-system.svc.cluster.local"
_NODE_LOCAL_DNS = "169.254.20.10/32"
_GARDENER_DNS_PORT = 8053


@dataclass(frozen=True)
class EgressClientArgs:
    """Who calls, and what it may reach.

    platform: kyma (the egress gateway is enabled in the Istio CR) or istio (it is there as installed)
    domain: host name of the target
    namespace: made for the workload
    ownership: marks the namespace and what goes into istio-system
    image: has curl and sleep
    client: the egress gateway's credential
    ca_certificate: PEM of the CA that must have signed the target's certificate
    network_policy: whether the namespace may be left through the egress gateway only
    """

    platform: str
    domain: str
    namespace: pulumi.Input[str]
    ownership: Ownership
    image: str
    client: Credential
    ca_certificate: pulumi.Output[str]
    network_policy: bool


class EgressClient(pulumi.ComponentResource):
    """Makes the namespace, the Secret client-credential, curl, its way out and the NetworkPolicy.

    Gives `namespace` and `secret` (its name).
    """

    namespace: pulumi.Output[str]
    secret: pulumi.Output[str]

    def __init__(self, name: str, args: EgressClientArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("kyma-mtls:index:EgressClient", name, None, opts)
        self._name, self._args, self._opts = name, args, pulumi.ResourceOptions(parent=self)
        self.namespace = injected_namespace(
            f"{name}-namespace", args.namespace, args.ownership, self._opts
        ).metadata.name
        self.secret = credential_secret(
            f"{name}-credential",
            args.ownership.metadata(CREDENTIAL),
            {"ca.crt": args.ca_certificate, "tls.crt": args.client.certificate, "tls.key": args.client.key},
            self._opts,
        ).metadata.name
        if args.platform == "kyma":
            self._enable_egress_gateway()
        self._access_log()
        self._curl()
        self._service_entry()
        self._gateway()
        self._destination_rule_to_gateway()
        self._virtual_service()
        self._destination_rule_to_target()
        if args.network_policy:
            self._network_policy()
        self.register_outputs({"namespace": self.namespace, "secret": self.secret})

    def _enable_egress_gateway(self) -> None:
        # Kyma owns the Istio CR, and deleting it uninstalls Istio: only this field of it is ours.
        k8s.apiextensions.CustomResourcePatch(
            f"{self._name}-istio",
            api_version="operator.kyma-project.io/v1alpha2",
            kind="Istio",
            metadata={"name": "default", "namespace": "kyma-system"},
            spec={"components": {"egressGateway": {"enabled": True}}},
            opts=self._opts,
        )

    def _access_log(self) -> None:
        self._istio(
            "access-log",
            "telemetry.istio.io/v1",
            "Telemetry",
            self._args.ownership.metadata(ACCESS_LOG),
            {"selector": {"matchLabels": EGRESS_GATEWAY}, "accessLogging": [{"providers": [{"name": "envoy"}]}]},
        )

    def _curl(self) -> None:
        workload(
            f"{self._name}-curl",
            "curl",
            self.namespace,
            {"image": self._args.image, "command": ["/bin/sleep", "infinity"]},
            {"name": "https", "port": 443},
            {"networking.kyma-project.io/to-egressgateway": "allowed"},
            self._opts,
        )

    def _service_entry(self) -> None:
        self._istio(
            "service-entry",
            "networking.istio.io/v1",
            "ServiceEntry",
            self._own("httpbin"),
            {
                "hosts": [self._args.domain],
                "exportTo": [".", ISTIO_SYSTEM],
                "ports": [
                    {"number": 80, "name": "http", "protocol": "HTTP"},
                    {"number": 443, "name": "https", "protocol": "HTTPS"},
                ],
                "resolution": "DNS",
            },
        )

    def _gateway(self) -> None:
        self._istio(
            "gateway",
            "networking.istio.io/v1",
            "Gateway",
            self._own("istio-egressgateway"),
            {
                "selector": EGRESS_GATEWAY,
                "servers": [
                    {
                        "port": {"number": 443, "name": "https", "protocol": "HTTPS"},
                        "tls": {"mode": "ISTIO_MUTUAL"},
                        "hosts": [self._args.domain],
                    }
                ],
            },
        )

    def _destination_rule_to_gateway(self) -> None:
        tls = {"mode": "ISTIO_MUTUAL", "sni": self._args.domain}
        policy = {"portLevelSettings": [{"port": {"number": 443}, "tls": tls}]}
        self._istio(
            "to-gateway",
            "networking.istio.io/v1",
            "DestinationRule",
            self._own("egressgateway-for-httpbin"),
            {"host": _GATEWAY_HOST, "exportTo": ["."], "subsets": [{"name": "httpbin", "trafficPolicy": policy}]},
        )

    def _virtual_service(self) -> None:
        to_gateway = {"host": _GATEWAY_HOST, "subset": "httpbin", "port": {"number": 443}}
        to_target = {"host": self._args.domain, "port": {"number": 443}}
        self._istio(
            "route",
            "networking.istio.io/v1",
            "VirtualService",
            self._own("direct-httpbin-through-egress-gateway"),
            {
                "hosts": [self._args.domain],
                "exportTo": [".", ISTIO_SYSTEM],
                "gateways": ["istio-egressgateway", "mesh"],
                "http": [
                    {"match": [{"gateways": ["mesh"], "port": 80}], "route": [{"destination": to_gateway}]},
                    {
                        "match": [{"gateways": ["istio-egressgateway"], "port": 443}],
                        "route": [{"destination": to_target}],
                    },
                ],
            },
        )

    def _destination_rule_to_target(self) -> None:
        # Without workloadSelector, sidecars drop the credential they cannot read and send plaintext.
        tls = {
            "mode": "MUTUAL",
            "credentialName": self.secret,
            "sni": self._args.domain,
            "subjectAltNames": [self._args.domain],
        }
        self._istio(
            "originate-mtls",
            "networking.istio.io/v1",
            "DestinationRule",
            self._args.ownership.metadata(ORIGINATE_MTLS),
            {
                "host": self._args.domain,
                "exportTo": ["."],
                "workloadSelector": {"matchLabels": EGRESS_GATEWAY},
                "trafficPolicy": {"portLevelSettings": [{"port": {"number": 443}, "tls": tls}]},
            },
        )

    def _network_policy(self) -> None:
        dns_service = k8s.core.v1.Service.get(f"{self._name}-dns", "kube-system/kube-dns", self._opts)
        cluster_dns, node_dns = (_pods("kube-system", "k8s-app", app) for app in ("kube-dns", "node-local-dns"))
        dns_address = pulumi.Output.concat(dns_service.spec.cluster_ip, "/32")
        k8s.networking.v1.NetworkPolicy(
            f"{self._name}-network-policy",
            metadata=self._own("network-policy-allow-egress-traffic"),
            spec={
                "pod_selector": {},
                "policy_types": ["Egress"],
                "egress": [
                    {
                        "to": [_block(dns_address), _block(_NODE_LOCAL_DNS), node_dns, cluster_dns],
                        "ports": _dns_ports(53),
                    },
                    {"to": [cluster_dns], "ports": _dns_ports(_GARDENER_DNS_PORT)},
                    {
                        "to": [_pods(ISTIO_SYSTEM, "istio", "egressgateway")],
                        "ports": [{"port": 8443, "protocol": "TCP"}],
                    },
                    {"to": [_pods(ISTIO_SYSTEM, "app", "istiod")], "ports": [{"port": 15012, "protocol": "TCP"}]},
                ],
            },
            opts=self._opts,
        )

    def _own(self, name: str) -> dict[str, Any]:
        """Metadata of an object in the stack's own namespace."""
        return {"name": name, "namespace": self.namespace}

    def _istio(
        self,
        resource: str,
        api_version: str,
        kind: str,
        metadata: dict[str, Any],
        spec: dict[str, object],
    ) -> None:
        k8s.apiextensions.CustomResource(
            f"{self._name}-{resource}",
            api_version=api_version,
            kind=kind,
            metadata=metadata,
            spec=spec,
            opts=self._opts,
        )


def claims(namespace: str) -> list[str]:
    """API paths of what EgressClient makes under a name that others may have used."""
    return [
        f"/api/v1/namespaces/{namespace}",
        f"/api/v1/namespaces/{ISTIO_SYSTEM}/secrets/{CREDENTIAL}",
        f"/apis/telemetry.istio.io/v1/namespaces/{ISTIO_SYSTEM}/telemetries/{ACCESS_LOG}",
        f"/apis/networking.istio.io/v1/namespaces/{ISTIO_SYSTEM}/destinationrules/{ORIGINATE_MTLS}",
    ]


def _block(cidr: pulumi.Input[str]) -> k8s.networking.v1.NetworkPolicyPeerArgsDict:
    return {"ip_block": {"cidr": cidr}}


def _pods(namespace: str, label: str, value: str) -> k8s.networking.v1.NetworkPolicyPeerArgsDict:
    return {
        "namespace_selector": {"match_labels": {"kubernetes.io/metadata.name": namespace}},
        "pod_selector": {"match_labels": {label: value}},
    }


def _dns_ports(number: int) -> list[k8s.networking.v1.NetworkPolicyPortArgsDict]:
    return [{"port": number, "protocol": protocol} for protocol in ("UDP", "TCP")]
