"""A client's cluster: its egress gateway's credential, and a route to each host, or its refusal."""

from dataclasses import dataclass
from http import HTTPStatus

import pulumi

from clusters.facts import ClusterFacts
from components.certificates import Credential
from components.demo import CURL
from components.egress_client import EgressClient, EgressClientArgs
from components.egress_route import EgressRoute, EgressRouteArgs, Refusal
from components.partner_credential import PartnerCredential, PartnerCredentialArgs
from deployment.away import Recorded
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
    for host_name, host in shared.settings.known_to(name).items():
        route = _Route(shared, site, deployed, host_name, host)
        if request := route.deploy():
            exports.signing_requests.setdefault(host_name, {})[name] = request


def keep(shared: Shared, client: str, recorded: Recorded, exports: Exports) -> None:
    """Keep what the state has of a client whose cluster is away, and its output; only its certificate may change."""
    identity = shared.identities[client]
    shared.certificates.client(client, identity, shared.settings.clients[client].domain)
    recorded.keep(client)
    exports.clients[client] = recorded.output(shared.settings, client, identity)
    for host, request in recorded.signing_requests(client).items():
        exports.signing_requests.setdefault(host, {})[client] = request


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
    """The route of a client to a host, or its refusal."""

    shared: Shared
    site: ManagedSite
    deployed: EgressClient
    host_name: str
    host: Host

    def deploy(self) -> pulumi.Output[str] | None:
        """Deploy it; return the signing request, if a partner has to sign the client's certificate.

        A host that does not admit the client, or whose partner has yet to sign, is known to the callers' sidecars all
        the same: else they would send each request in plain HTTP to where the domain's name leads.
        """
        secret: pulumi.Output[str] | Refusal = self.deployed.secret
        holder: pulumi.Resource = self.deployed
        request = None
        if self.client not in self.shared.settings.admitted(self.host_name):
            secret = Refusal(HTTPStatus.FORBIDDEN, f"{self.host.domain} does not admit client {self.client}")
        elif self.host.external:
            holder = credential = self._partner_credential(self.host.external)
            request = credential.request
            secret = credential.secret or Refusal(
                HTTPStatus.SERVICE_UNAVAILABLE, f"client {self.client} has no certificate yet for {self.host.domain}"
            )
        route = EgressRoute(self._name, self._args(secret), pulumi.ResourceOptions(parent=self.deployed))
        if not isinstance(secret, Refusal):
            self.site.confirm(self._name, f"hosts.{self.host_name}", route, self.deployed, holder)
        return request

    @property
    def client(self) -> str:
        """Name of the client."""
        return self.site.client

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

    def _args(self, secret: pulumi.Output[str] | Refusal) -> EgressRouteArgs:
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
            is_partners=self.host.external is not None,
        )


def _caller_namespaces(shared: Shared, client: Client) -> tuple[str, ...]:
    """Return the namespaces of a client's callers, except the stack's own."""
    return tuple(namespace for namespace in client.caller_namespaces if namespace != shared.settings.namespace)
