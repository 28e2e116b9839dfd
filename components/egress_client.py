"""The cluster that calls out through its egress gateway, which holds the client certificate so that no caller has to.

Follows "Expose the workload" and "Enhance Security by Implementing NetworkPolicies" of the mTLS tutorial. Beyond it,
the access log is that of the egress gateway alone, and the NetworkPolicy knows where the cluster's DNS is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_kubernetes as k8s

from . import judges, rules
from .arguments import check_each, check_platform
from .authorization import Identities
from .certificates import Credential, joined
from .demo import CURL, DemoArgs, DemoCaller
from .istio_gateway import DOCUMENTED_EGRESS, Destination, IstioGateway, injection
from .objects import credential_secret, in_gateway_namespace, injected_namespace, istio
from .readiness import Ready


@dataclass(frozen=True, kw_only=True)
class EgressClientArgs:
    """Who calls, and how the namespaces are closed.

    platform: kyma (the default egress gateway is enabled in the Istio CR) or istio (it is there as installed)
    namespace: for what belongs to the stack
    makes_namespace: whether it is made here, or there already
    injection: labels by which the Pods of the one that is made get a sidecar
    gateway: the egress gateway
    logs_requests: whether the stack has the egress gateway write an access log
    demo_image: has curl and sleep; empty if the callers are the user's own
    callers: NAMESPACE/SERVICEACCOUNT, or NAMESPACE for all of it
    client: the egress gateway's credential for hosts of the stack
    ca_certificates: PEM of the CAs one of which must have signed the certificates of those hosts, one text or several;
        None for those of the client's credential
    closed: whether `namespace` may be left through the egress gateway only; by default, if it is made here
    closed_namespaces: namespaces of callers for which the same holds
    allowed_destinations: what Pods of closed namespaces may reach beside the egress gateway: they need DNS and istiod
    """

    platform: str = "kyma"
    namespace: pulumi.Input[str]
    makes_namespace: bool = True
    injection: Mapping[str, str] = field(default_factory=injection)
    gateway: IstioGateway = DOCUMENTED_EGRESS
    logs_requests: bool = False
    demo_image: str = ""
    callers: Sequence[str] = ()
    client: Credential
    ca_certificates: pulumi.Input[str] | Sequence[pulumi.Input[str]] | None = None
    closed: bool | None = None
    closed_namespaces: Sequence[str] = ()
    allowed_destinations: Sequence[Destination] = ()

    def __post_init__(self) -> None:
        check_platform(self.platform)
        check_each("callers", self.callers, rules.caller)
        check_each("closed_namespaces", self.closed_namespaces, rules.label)
        has_pods = not self.makes_namespace or self.demo_image
        if not self.allowed_destinations and (self.closed_namespaces or (self.closes_namespace and has_pods)):
            raise pulumi.RunError("allowed_destinations: empty; closed Pods need their DNS and istiod")

    @property
    def closes_namespace(self) -> bool:
        """Whether `namespace` may be left through the egress gateway only."""
        return self.makes_namespace if self.closed is None else self.closed


class EgressClient(pulumi.ComponentResource):
    """Makes the stack's namespace, the Secret client-credential-NAMESPACE.GENERATIONS, the NetworkPolicies, and curl if
    it is the caller; the route to each host is a child of its own.

    Gives `namespace`, `secret` (its name), `gateway` and `callers` (their identities in the mesh).
    """

    namespace: pulumi.Output[str]
    secret: pulumi.Output[str]
    gateway: IstioGateway
    callers: Identities

    def __init__(self, name: str, args: EgressClientArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("kyma-mtls:index:EgressClient", name, None, opts)
        self._name, self._args, self._opts = name, args, pulumi.ResourceOptions(parent=self)
        self.gateway = args.gateway
        self.namespace = pulumi.Output.from_input(args.namespace)
        if args.makes_namespace:
            made = injected_namespace(f"{name}-namespace", args.namespace, args.injection, self._opts)
            self.namespace = made.metadata.name
        self.secret = self._credential()
        self.callers = self._identities()
        if args.platform == "kyma" and args.gateway.name == DOCUMENTED_EGRESS.name:
            self._enable_egress_gateway()
        if args.logs_requests:
            self._access_log()
        if args.demo_image:
            DemoCaller(f"{name}-curl", DemoArgs(self.namespace, args.injection, args.demo_image), self._opts)
        self._network_policies()
        self.register_outputs({"namespace": self.namespace, "secret": self.secret})

    def _credential(self) -> pulumi.Output[str]:
        client, trusted = self._args.client, self._args.ca_certificates
        name = pulumi.Output.concat("client-credential-", self.namespace, ".", client.generations)
        ca_certificates = joined(client.trusted if trusted is None else trusted)
        return credential_secret(
            f"{self._name}-credential.{client.generations}",
            in_gateway_namespace(self._args.gateway, name),
            {"ca.crt": ca_certificates, "tls.crt": client.certificate, "tls.key": client.key},
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
        gateway = self._args.gateway
        metadata = in_gateway_namespace(gateway, pulumi.Output.concat("egress-access-log-", self.namespace))
        selector = {"matchLabels": dict(gateway.selector)}
        spec = {"selector": selector, "accessLogging": [{"providers": [{"name": "envoy"}]}]}
        istio(f"{self._name}-access-log", "Telemetry", metadata, spec, self._opts)

    def _network_policies(self) -> None:
        spec = _only_to([self._args.gateway.destination, *self._args.allowed_destinations])
        name = "network-policy-allow-egress-traffic"
        if self._args.closes_namespace:
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


def _only_to(destinations: Sequence[Destination]) -> k8s.networking.v1.NetworkPolicySpecArgsDict:
    return {"pod_selector": {}, "policy_types": ["Egress"], "egress": [_rule(each) for each in destinations]}


def _rule(destination: Destination) -> k8s.networking.v1.NetworkPolicyEgressRuleArgsDict:
    to: list[k8s.networking.v1.NetworkPolicyPeerArgsDict] = [
        {"ip_block": {"cidr": cidr}} for cidr in destination.addresses
    ]
    if pods := destination.pods:
        to.append(
            {
                "namespace_selector": {"match_labels": {"kubernetes.io/metadata.name": pods.namespace}},
                "pod_selector": {"match_labels": dict(pods.labels)},
            }
        )
    return {"to": to, "ports": [{"port": port, "protocol": protocol} for port, protocol in destination.ports]}
