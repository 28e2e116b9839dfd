"""A client's cluster: its egress gateway's credential, and a route to each host that admits the client."""

from dataclasses import dataclass

import pulumi

from clusters.facts import ClusterFacts
from components.certificates import Credential
from components.demo import CURL
from components.egress_client import EgressClient, EgressClientArgs
from components.egress_route import EgressRoute, EgressRouteArgs
from components.partner_credential import PartnerCredential, PartnerCredentialArgs
from deployment.exports import Exports
from deployment.managed_site import ManagedSite
from deployment.stack import Stack
from outputs import ClientOutput
from settings import Client, External, Host, NetworkPolicy


def deploy(stack: Stack, site: ManagedSite, exports: Exports) -> None:
    """Deploy a client into its cluster, and its routes; add its output, and the requests that partners have to sign."""
    name, facts = site.site.client, site.facts
    client, identity, hosts = stack.settings.clients[name], stack.identities[name], stack.settings.hosts_of(name)
    credential = stack.certificates.client(name, identity, client.domain)
    deployed = EgressClient(f"client-{name}", _args(stack, client, credential, facts), site.options())
    exports.clients[name] = ClientOutput.exported(
        identity=identity,
        hosts=list(hosts),
        namespace=deployed.namespace,
        callers=list(client.callers or [pulumi.Output.concat(deployed.namespace, "/", CURL)]),
        egress_gateway=facts.gateway.name,
        access_log=not facts.access_log_configured,
        secret=deployed.secret,
        subject=credential.subject,
        expiry=credential.expiry,
    )
    for host_name, host in hosts.items():
        route = _Route(stack, name, deployed, host_name, host)
        if request := route.deploy():
            exports.signing_requests.setdefault(host_name, {})[name] = request


def _args(stack: Stack, client: Client, credential: Credential, facts: ClusterFacts) -> EgressClientArgs:
    closes_callers = client.network_policy == NetworkPolicy.CALLERS
    return EgressClientArgs(
        platform=stack.settings.platform,
        namespace=stack.namespace,
        injection=facts.injection,
        gateway=facts.gateway,
        logs_requests=not facts.access_log_configured,
        demo_image=stack.settings.client_image if client.demo else "",
        callers=client.callers or (),
        client=credential,
        closed=client.network_policy != NetworkPolicy.NONE,
        closed_namespaces=_caller_namespaces(stack, client) if closes_callers else (),
        allowed_destinations=facts.allowed_destinations,
    )


@dataclass(frozen=True)
class _Route:
    """The route of a client to a host."""

    stack: Stack
    client: str
    cluster: EgressClient
    host_name: str
    host: Host

    def deploy(self) -> pulumi.Output[str] | None:
        """Deploy it unless a partner has yet to sign the client's certificate; return the signing request, if any."""
        secret: pulumi.Output[str] | None = self.cluster.secret
        request = None
        if self.host.external:
            credential = self._partner_credential(self.host.external)
            secret, request = credential.secret, credential.request
        if secret is not None:
            EgressRoute(self._name, self._args(secret), pulumi.ResourceOptions(parent=self.cluster))
        return request

    @property
    def _name(self) -> str:
        # A hyphen instead of the dot would make client a-b and host c the same as client a and host b-c.
        return f"client-{self.client}.{self.host_name}"

    def _partner_credential(self, external: External) -> PartnerCredential:
        given = external.credentials.get(self.client)
        args = PartnerCredentialArgs(
            host=self.host_name,
            namespace=self.cluster.namespace,
            gateway=self.cluster.gateway,
            client=self.client,
            identity=self.stack.identities[self.client],
            client_domain=self.stack.settings.clients[self.client].domain,
            key_algorithm=self.stack.settings.key_algorithm,
            ca_certificate=external.certificate_authority,
            certificate=given.certificate if given else "",
            key=given.key.get_secret_value() if given else "",
        )
        return PartnerCredential(self._name, args, pulumi.ResourceOptions(parent=self.cluster))

    def _args(self, secret: pulumi.Output[str]) -> EgressRouteArgs:
        client = self.stack.settings.clients[self.client]
        return EgressRouteArgs(
            host=self.host_name,
            domain=self.host.domain,
            port=self.host.external.port if self.host.external else 443,
            namespace=self.cluster.namespace,
            gateway=self.cluster.gateway,
            secret=secret,
            callers=self.cluster.callers,
            caller_namespaces=_caller_namespaces(self.stack, client),
        )


def _caller_namespaces(stack: Stack, client: Client) -> tuple[str, ...]:
    """Return the namespaces of a client's callers, except the stack's own."""
    return tuple(namespace for namespace in client.caller_namespaces if namespace != stack.settings.namespace)
