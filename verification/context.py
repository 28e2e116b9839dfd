"""A host and a client of a stack, each with everything that its checks need."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from clusters import Cluster
from components.istio_gateway import IstioGateway
from components.namespaced_name import NamespacedName
from outputs import ClientOutput, HostOutput
from settings import Client, Host, Platform
from verification.attacker import Attacker
from verification.checks import Check, skipped
from verification.client_cluster import ClientCluster
from verification.default_deny import explained
from verification.dumps import Answers
from verification.probes import Probe, probe_of
from verification.stack import DeployedStack
from verification.tls import ClientCredential, Endpoint

_HTTPS = 443


@dataclass(frozen=True)
class HostContext:
    """A host: its config, its outputs, its clients, and the endpoint at which the target serves it.

    name: its key in `hosts` of the stack's config
    """

    stack: DeployedStack
    name: str

    @property
    def settings(self) -> Host:
        """Its config."""
        return self.stack.settings.hosts[self.name]

    @property
    def output(self) -> HostOutput:
        """Its output."""
        return self.stack.outputs.hosts[self.name]

    @property
    def domain(self) -> str:
        """Its domain name."""
        return self.output.domain

    @property
    def port(self) -> int:
        """The TCP port of its server."""
        return self.settings.external.port if self.settings.external else _HTTPS

    @property
    def group(self) -> str:
        """The heading of its checks."""
        return f"host {self.name} ({self.domain})"

    @property
    def probe(self) -> Probe | None:
        """The harmless request that its route allows; None if the route allows no safe method."""
        return probe_of(self.settings)

    @property
    def endpoint(self) -> Endpoint:
        """The target's ingress gateway, asked for this host."""
        return self.stack.endpoint(self.name)

    @property
    def gateway(self) -> NamespacedName:
        """The Service of the target's ingress gateway."""
        return self.stack.target_gateway

    @property
    def ingress_gateway(self) -> IstioGateway:
        """The target's ingress gateway, by its Pods."""
        return self.stack.dumps.gateway(self.stack.reached["target"], "target", self.gateway)

    @property
    def ingress_dumps(self) -> Answers:
        """What each ready replica of the ingress gateway has."""
        return self.stack.dumps.of_gateway(self.stack.reached["target"], "target", self.gateway)

    @property
    def attacker(self) -> Attacker:
        """The verification's Pods in the target cluster."""
        return self.stack.attackers["target"]

    @property
    def admitted_own_clients(self) -> list["ClientContext"]:
        """The clients that the host admits and whose credentials the stack has, in a cluster that is not away."""
        own = self.stack.settings.present_clients
        return [ClientContext(self.stack, name) for name in self.stack.settings.admitted(self.name) if name in own]

    @property
    def trusts_the_stacks_ca(self) -> bool:
        """Whether certificates of the stack's CA pass its TLS: if it admits a client of that CA, or no client."""
        admitted = self.stack.settings.admitted(self.name)
        return not admitted or any(name in self.stack.settings.own_clients for name in admitted)

    @property
    def names_are_checked_by_tls(self) -> bool:
        """Whether its TLS refuses certificates of unlisted names: if it admits a client by a `dns:` identity."""
        return any(identity.startswith("dns:") for identity in self.output.clients.values())

    @property
    def routes_by_api_rule(self) -> bool:
        """Whether an APIRule routes it, which has no route for a method or a path that it does not allow."""
        return self.stack.settings.platform == Platform.KYMA

    @property
    def policy_namespaces(self) -> dict[str, set[str]]:
        """The namespaces of the target whose policies judge its requests, by the target's path in the config."""
        target, service = self.stack.outputs.target, self.settings.service
        return {
            "target": {self.gateway.namespace, service.namespace if service else target.namespace if target else ""}
        }

    @property
    def look(self) -> str:
        """Where to look if the host answers wrongly."""
        secrets = f"istioctl proxy-config secret -n {self.gateway.namespace} svc/{self.gateway.name}"
        return f"target cluster: kubectl -n {self.gateway.namespace} logs svc/{self.gateway.name}; {secrets}"

    @property
    def look_policy(self) -> str:
        """Where to look if a policy of the host refuses or admits a request wrongly."""
        policies = f"kubectl -n {self.gateway.namespace} get authorizationpolicies"
        return f"target cluster: {policies}; istioctl x authz check"

    def awaits_partner(self, client: str) -> bool:
        """Return whether the partner that serves the host has not signed this client's certificate yet."""
        return self.settings.external is not None and client not in self.settings.external.credentials

    def check(self, promise: str, expected: str, run: Callable[[], str], look: str = "", client: str = "") -> Check:
        """Return a check of the host; `look` defaults to the gateway's log and certificates."""
        judged = partial(explained, self.stack, self.policy_namespaces, run)
        return Check(self.group, promise, expected, judged, look or self.look, self.name, client)

    def skipped(self, promise: str, reason: str, client: str = "") -> Check:
        """Return a check of the host that is skipped for this reason."""
        return skipped(self.group, promise, reason, self.name, client)


@dataclass(frozen=True)
class ClientContext:
    """A client: its config, its output, its cluster, and the hosts that admit it.

    name: its key in `clients` of the stack's config
    """

    stack: DeployedStack
    name: str

    @property
    def settings(self) -> Client:
        """Its config."""
        return self.stack.settings.clients[self.name]

    @property
    def output(self) -> ClientOutput:
        """Its output."""
        return self.stack.outputs.clients[self.name]

    @property
    def group(self) -> str:
        """The heading of its checks."""
        return f"client {self.name}"

    @property
    def hosts(self) -> list[HostContext]:
        """The hosts that admit it."""
        return [HostContext(self.stack, name) for name in self.stack.settings.hosts_of(self.name)]

    @property
    def callable_hosts(self) -> list[HostContext]:
        """The hosts that admit it and to which the stack routes its requests: their partners have signed."""
        return [host for host in self.hosts if not host.awaits_partner(self.name)]

    @property
    def cluster(self) -> ClientCluster:
        """Its connected cluster."""
        return self.stack.clients[self.name]

    @property
    def gateway(self) -> NamespacedName:
        """The Service of its egress gateway."""
        return self.output.gateway

    @property
    def path(self) -> str:
        """The path of its cluster in the config."""
        return f"clients.{self.name}"

    @property
    def reached(self) -> Cluster:
        """The connection to its cluster."""
        return self.stack.reached[self.path]

    @property
    def egress_gateway(self) -> IstioGateway:
        """Its egress gateway, by its Pods."""
        return self.stack.dumps.gateway(self.reached, self.path, self.gateway)

    @property
    def egress_dumps(self) -> Answers:
        """What each ready replica of its egress gateway has."""
        return self.stack.dumps.of_gateway(self.reached, self.path, self.gateway)

    @property
    def attacker(self) -> Attacker:
        """The verification's Pods in its cluster."""
        return self.stack.attackers[self.path]

    def credential(self) -> ClientCredential:
        """Read the credential that its egress gateway shows."""
        return self.cluster.credential()

    def host_to_call(self) -> tuple[HostContext, Probe] | None:
        """Return a host that the client can call, and the request for it; None if there is none."""
        ready = [(host, probe) for host in self.callable_hosts if (probe := host.probe)]
        # The target is known to offer TLS 1.3; a partner's server may not.
        return min(ready, key=lambda each: each[0].settings.external is not None, default=None)

    def look(self, commands: str) -> str:
        """Return where to look: these commands, in the client's cluster."""
        return f"cluster of client {self.name}: {commands}"

    def check(self, promise: str, expected: str, run: Callable[[], str], look: str, host: str = "") -> Check:
        """Return a check of the client, and of one host if it has a name."""
        namespaces = {f"clients.{self.name}": {self.gateway.namespace, self.output.namespace}}
        for each in self.hosts:
            namespaces |= each.policy_namespaces if each.settings.external is None else {}
        return Check(
            self.group, promise, expected, partial(explained, self.stack, namespaces, run), look, host, self.name
        )

    def skipped(self, promise: str, reason: str, host: str = "") -> Check:
        """Return a check of the client that is skipped for this reason."""
        return skipped(self.group, promise, reason, host, self.name)
