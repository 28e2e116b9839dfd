"""The cluster that calls out through its egress gateway, which holds the client certificate so that no caller has to.

Follows "Expose the workload" and "Enhance Security by Implementing NetworkPolicies" of the mTLS tutorial. Beyond it,
the access log is that of the egress gateway alone, and the NetworkPolicy knows DNS over TCP and Gardener's DNS Pods.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components import judges
from components.authorization import Identities
from components.certificates import Credential
from components.demo import CURL, DemoCaller
from components.kubernetes import (
    EGRESS_GATEWAY,
    ISTIO_SYSTEM,
    credential_secret,
    in_istio_system,
    injected_namespace,
    istio,
)
from components.readiness import Ready

_NODE_LOCAL_DNS = "169.254.20.10/32"
_GARDENER_DNS_PORT = 8053


@dataclass(frozen=True)
class EgressClientArgs:
    """Who calls, and how the namespaces are closed.

    platform: kyma (the egress gateway is enabled in the Istio CR) or istio (it is there as installed)
    namespace: made for what belongs to the stack
    demo_image: has curl and sleep; empty if the callers are the user's own
    callers: NAMESPACE/SERVICEACCOUNT, or NAMESPACE for all of it
    client: the egress gateway's credential for hosts of the stack
    ca_certificate: PEM of the CA that must have signed the certificates of those hosts
    closed: whether the stack's own namespace may be left through the egress gateway only
    closed_namespaces: namespaces of callers for which the same holds
    """

    platform: str
    namespace: pulumi.Input[str]
    demo_image: str
    callers: Sequence[str]
    client: Credential
    ca_certificate: pulumi.Output[str]
    closed: bool
    closed_namespaces: Sequence[str]


class EgressClient(pulumi.ComponentResource):
    """Makes the stack's namespace, the Secret client-credential-NAMESPACE, the NetworkPolicies, and curl if it is the
    caller; the route to each host is a child of its own.

    Gives `namespace`, `secret` (its name) and `callers` (their identities in the mesh).
    """

    namespace: pulumi.Output[str]
    secret: pulumi.Output[str]
    callers: Identities

    def __init__(self, name: str, args: EgressClientArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("kyma-mtls:index:EgressClient", name, None, opts)
        self._name, self._args, self._opts = name, args, pulumi.ResourceOptions(parent=self)
        self.namespace = injected_namespace(f"{name}-namespace", args.namespace, self._opts).metadata.name
        self.secret = self._credential()
        self.callers = self._identities()
        if args.platform == "kyma":
            self._enable_egress_gateway()
        self._access_log()
        if args.demo_image:
            DemoCaller(f"{name}-curl", self.namespace, args.demo_image, self._opts)
        if args.closed or args.closed_namespaces:
            self._network_policies()
        self.register_outputs({"namespace": self.namespace, "secret": self.secret})

    def _credential(self) -> pulumi.Output[str]:
        client = self._args.client
        return credential_secret(
            f"{self._name}-credential",
            in_istio_system(pulumi.Output.concat("client-credential-", self.namespace)),
            {"ca.crt": self._args.ca_certificate, "tls.crt": client.certificate, "tls.key": client.key},
            self._opts,
        ).metadata.name

    def _identities(self) -> Identities:
        """Return the callers as the egress gateway sees them, in whatever trust domain the mesh has."""
        accounts = [caller.split("/") for caller in self._args.callers if "/" in caller]
        principals = [
            pulumi.Output.concat("*/ns/", namespace, "/sa/", account)
            for namespace, account in [*accounts, *([(self.namespace, CURL)] if self._args.demo_image else [])]
        ]
        return Identities(principals, [caller for caller in self._args.callers if "/" not in caller])

    def _enable_egress_gateway(self) -> None:
        # Kyma owns the Istio CR, and deleting it uninstalls Istio: only this field of it is ours.
        enabled = k8s.apiextensions.CustomResourcePatch(
            f"{self._name}-istio",
            api_version="operator.kyma-project.io/v1alpha2",
            kind="Istio",
            metadata={"name": "default", "namespace": "kyma-system"},
            spec={"components": {"egressGateway": {"enabled": True}}},
            opts=self._opts,
        )
        Ready(f"{self._name}-istio", enabled, judges.egress_gateway, self._opts)

    def _access_log(self) -> None:
        metadata = in_istio_system(pulumi.Output.concat("egress-access-log-", self.namespace))
        spec = {"selector": {"matchLabels": EGRESS_GATEWAY}, "accessLogging": [{"providers": [{"name": "envoy"}]}]}
        istio(f"{self._name}-access-log", "Telemetry", metadata, spec, self._opts)

    def _network_policies(self) -> None:
        dns = k8s.core.v1.Service.get(f"{self._name}-dns", "kube-system/kube-dns", self._opts)
        spec = _egress_only(pulumi.Output.concat(dns.spec.cluster_ip, "/32"))
        name = "network-policy-allow-egress-traffic"
        if self._args.closed:
            k8s.networking.v1.NetworkPolicy(
                f"{self._name}-network-policy",
                metadata={"name": name, "namespace": self.namespace},
                spec=spec,
                opts=self._opts,
            )
        for namespace in self._args.closed_namespaces:
            k8s.networking.v1.NetworkPolicy(
                f"{self._name}-network-policy-{namespace}",
                metadata={"name": pulumi.Output.concat(name, "-", self.namespace), "namespace": namespace},
                spec=spec,
                opts=self._opts,
            )


def _egress_only(dns_address: pulumi.Output[str]) -> k8s.networking.v1.NetworkPolicySpecArgsDict:
    cluster_dns, node_dns = (_pods("kube-system", "k8s-app", app) for app in ("kube-dns", "node-local-dns"))
    return {
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
    }


def _block(cidr: pulumi.Input[str]) -> k8s.networking.v1.NetworkPolicyPeerArgsDict:
    return {"ip_block": {"cidr": cidr}}


def _pods(namespace: str, label: str, value: str) -> k8s.networking.v1.NetworkPolicyPeerArgsDict:
    return {
        "namespace_selector": {"match_labels": {"kubernetes.io/metadata.name": namespace}},
        "pod_selector": {"match_labels": {label: value}},
    }


def _dns_ports(number: int) -> list[k8s.networking.v1.NetworkPolicyPortArgsDict]:
    return [{"port": number, "protocol": protocol} for protocol in ("UDP", "TCP")]
