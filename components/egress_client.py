"""A cluster whose callers reach hosts through its egress gateway, which holds the client certificate for all of them.

Follows "Expose the workload" and "Enhance Security by Implementing NetworkPolicies" of the mTLS tutorial
(https://developers.sap.com/tutorials/cp-kyma-mtls-requests-egress). Unlike the tutorial's, the access log is
the egress gateway's alone, and the NetworkPolicy names the cluster's DNS.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_kubernetes as k8s

from . import judges, rules
from .arguments import check_choice, check_each
from .authorization import Identities
from .certificates import Credential, joined, mark
from .choices import Platform
from .demo import CURL, DemoArgs, DemoCaller
from .istio_gateway import DOCUMENTED_EGRESS, Destination, IstioGateway, injection
from .objects import credential_secret, in_gateway_namespace, injected_namespace, istio
from .readiness import Ready


@dataclass(frozen=True, kw_only=True)
class EgressClientArgs:
    """The callers, their credential, and the namespaces that NetworkPolicies close; RunError for a wrong argument.

    platform: kyma (default: the component enables the default egress gateway in the Istio CR) or istio (the egress
        gateway is as installed)
    namespace: of the stack's objects
    makes_namespace: whether the component makes the namespace (default), or the cluster has it already
    injection: labels of a namespace that is made, by which its Pods get a sidecar; istio-injection: enabled by default
    gateway: the egress gateway; by default, as istioctl and Kyma install it
    logs_requests: whether a Telemetry has the egress gateway write an access log; not by default
    demo_image: image of a demo caller, with curl and sleep; empty (default) for none
    callers: workloads that the egress gateway admits: NAMESPACE/SERVICEACCOUNT, or NAMESPACE for all in it
    client: the egress gateway's credential for hosts of the stack
    ca_certificates: PEM of the CAs one of which must have signed the certificates of those hosts, one text or several;
        None for those of the client's credential
    closed: whether a NetworkPolicy restricts Pods of `namespace` to the egress gateway and allowed_destinations; None
        (default) for a namespace that the component makes
    closed_namespaces: namespaces of callers whose Pods are restricted likewise; none by default
    allowed_destinations: destinations of restricted Pods in addition to their namespace and the egress gateway: they
        need DNS and istiod
    further_destinations: those of Pods of closed_namespaces in addition; none by default
    """

    platform: str = Platform.KYMA
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
    further_destinations: Sequence[Destination] = ()

    def __post_init__(self) -> None:
        check_choice("platform", self.platform, Platform)
        check_each("callers", self.callers, rules.caller)
        check_each("closed_namespaces", self.closed_namespaces, rules.label)
        has_pods = not self.makes_namespace or self.demo_image
        if not self.allowed_destinations and (self.closed_namespaces or (self.closes_namespace and has_pods)):
            raise pulumi.RunError("allowed_destinations: empty; Pods of closed namespaces need DNS and istiod")

    @property
    def closes_namespace(self) -> bool:
        """Whether a NetworkPolicy restricts Pods of `namespace`."""
        return self.makes_namespace if self.closed is None else self.closed


class EgressClient(pulumi.ComponentResource):
    """Makes the stack's namespace, the Secret client-credential-NAMESPACE.GENERATIONS, NetworkPolicies, and a demo
    caller if it has an image. Each host's route is an EgressRoute. Given ca_certificates add a hash to the Secret's
    name.

    namespace: of the stack's objects
    secret: name of the Secret with the credential
    gateway: the egress gateway
    callers: identities of the callers in the mesh
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
        if args.platform == Platform.KYMA and args.gateway.name == DOCUMENTED_EGRESS.name:
            self._enable_egress_gateway()
        if args.logs_requests:
            self._access_log()
        if args.demo_image:
            DemoCaller(f"{name}-curl", DemoArgs(self.namespace, args.injection, args.demo_image), self._opts)
        self._network_policies()
        self.register_outputs({"namespace": self.namespace, "secret": self.secret})

    def _credential(self) -> pulumi.Output[str]:
        client, trusted = self._args.client, self._args.ca_certificates
        version = f".{client.generations}{mark(trusted)}"
        name = pulumi.Output.concat("client-credential-", self.namespace, version)
        ca_certificates = joined(client.trusted if trusted is None else trusted)
        return credential_secret(
            f"{self._name}-credential{version}",
            in_gateway_namespace(self._args.gateway, name),
            {"ca.crt": ca_certificates, "tls.crt": client.certificate, "tls.key": client.key},
            self._opts,
        ).metadata.name

    def _identities(self) -> Identities:
        """Return the callers as the egress gateway identifies them, in any trust domain."""
        accounts = [caller.split("/") for caller in self._args.callers if "/" in caller]
        principals = [
            pulumi.Output.concat("*/ns/", namespace, "/sa/", account)
            for namespace, account in [*accounts, *([(self.namespace, CURL)] if self._args.demo_image else [])]
        ]
        return Identities(principals, [caller for caller in self._args.callers if "/" not in caller])

    def _enable_egress_gateway(self) -> None:
        # The Istio CR is Kyma's, and its deletion uninstalls Istio: the stack patches this field only.
        # https://kyma-project.io/external-content/istio/docs/user/04-00-istio-custom-resource.html
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
        args = self._args
        needed = [args.gateway.destination, *args.allowed_destinations]
        name = "network-policy-allow-egress-traffic"
        if args.closes_namespace:
            k8s.networking.v1.NetworkPolicy(
                f"{self._name}-network-policy",
                metadata={"name": name, "namespace": self.namespace},
                spec=_only_to(needed),
                opts=self._opts,
            )
        for namespace in args.closed_namespaces:
            k8s.networking.v1.NetworkPolicy(
                f"{self._name}-network-policy-{namespace}",
                metadata={"name": pulumi.Output.concat(name, "-", self.namespace), "namespace": namespace},
                spec=_only_to([*needed, *args.further_destinations]),
                opts=self._opts,
            )


def _only_to(destinations: Sequence[Destination]) -> k8s.networking.v1.NetworkPolicySpecArgsDict:
    own_namespace: k8s.networking.v1.NetworkPolicyEgressRuleArgsDict = {"to": [{"pod_selector": {}}]}
    egress = [*map(_rule, destinations), own_namespace]
    return {"pod_selector": {}, "policy_types": ["Egress"], "egress": egress}


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
    if not destination.ports:
        return {"to": to}
    return {"to": to, "ports": [{"port": port, "protocol": protocol} for port, protocol in destination.ports]}
