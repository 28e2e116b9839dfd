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
from deployment.shared import Shared
from outputs import ClientOutput
from settings import Client, External, Host, NetworkPolicy, destinations


def deploy(shared: Shared, site: ManagedSite, exports: Exports) -> None:
    """Deploy a client into its cluster, and its routes; add its output, and the requests that partners have to sign."""
    name, facts = site.client, site.facts
    client, identity, hosts = shared.settings.clients[name], shared.identities[name], shared.settings.hosts_of(name)
    credential = shared.certificates.client(name, identity, client.domain)
    deployed = EgressClient(f"client-{name}", _args(shared, client, credential, facts), site.options())
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
        route = _Route(shared, name, deployed, host_name, host)
        if request := route.deploy():
            exports.signing_requests.setdefault(host_name, {})[name] = request


def _args(shared: Shared, client: Client, credential: Credential, facts: ClusterFacts) -> EgressClientArgs:
    closes_callers = client.network_policy == NetworkPolicy.CALLERS
    return EgressClientArgs(
        platform=shared.settings.platform,
        namespace=shared.namespace,
        injection=facts.injection,
        gateway=facts.gateway,
        logs_requests=not facts.access_log_configured,
        demo_image=shared.settings.client_image if client.demo else "",
        callers=client.callers or (),
        client=credential,
        closed=client.network_policy != NetworkPolicy.NONE,
        closed_namespaces=_caller_namespaces(shared, client) if closes_callers else (),
        allowed_destinations=facts.allowed_destinations,
        further_destinations=[destinations.parse(each) for each in client.allowed_destinations],
    )


@dataclass(frozen=True)
class _Route:
    """The route of a client to a host."""

    shared: Shared
    client: str
    deployed: EgressClient
    host_name: str
    host: Host

    def deploy(self) -> pulumi.Output[str] | None:
        """Deploy it unless a partner has yet to sign the client's certificate; return the signing request, if any."""
        secret: pulumi.Output[str] | None = self.deployed.secret
        request = None
        if self.host.external:
            credential = self._partner_credential(self.host.external)
            secret, request = credential.secret, credential.request
        if secret is not None:
            EgressRoute(self._name, self._args(secret), pulumi.ResourceOptions(parent=self.deployed))
        return request

    @property
    def _name(self) -> str:
        # A hyphen instead of the dot would make client a-b and host c the same as client a and host b-c.
        return f"client-{self.client}.{self.host_name}"

    def _partner_credential(self, external: External) -> PartnerCredential:
        given = external.credentials.get(self.client)
        args = PartnerCredentialArgs(
            host=self.host_name,
            namespace=self.deployed.namespace,
            gateway=self.deployed.gateway,
            client=self.client,
            identity=self.shared.identities[self.client],
            client_domain=self.shared.settings.clients[self.client].domain,
            key_algorithm=self.shared.settings.key_algorithm,
            ca_certificate=external.certificate_authority,
            certificate=given.certificate if given else "",
            key=given.key.get_secret_value() if given else "",
        )
        return PartnerCredential(self._name, args, pulumi.ResourceOptions(parent=self.deployed))

    def _args(self, secret: pulumi.Output[str]) -> EgressRouteArgs:
        client = self.shared.settings.clients[self.client]
        return EgressRouteArgs(
            host=self.host_name,
            domain=self.host.domain,
            port=self.host.external.port if self.host.external else 443,
            namespace=self.deployed.namespace,
            gateway=self.deployed.gateway,
            secret=secret,
            callers=self.deployed.callers,
            caller_namespaces=_caller_namespaces(self.shared, client),
        )


def _caller_namespaces(shared: Shared, client: Client) -> tuple[str, ...]:
    """Return the namespaces of a client's callers, except the stack's own."""
    return tuple(namespace for namespace in client.caller_namespaces if namespace != shared.settings.namespace)
