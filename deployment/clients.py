"""The client clusters and their routes, as the settings ask for them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi

from components.certificates import Certificates
from components.egress_client import EgressClient, EgressClientArgs
from components.egress_route import EgressRoute, EgressRouteArgs
from components.partner_credential import PartnerCredential, PartnerCredentialArgs
from settings import Client, Host, NetworkPolicy, Settings


@dataclass
class Deployed:
    """What the stack's outputs say of the clients, and the requests that partners have to sign, by host and client."""

    clients: dict[str, Any] = field(default_factory=dict)
    signing_requests: dict[str, dict[str, pulumi.Output[str]]] = field(default_factory=dict)


def deploy(
    settings: Settings,
    namespace: pulumi.Input[str],
    certificates: Certificates,
    identities: Mapping[str, str],
    opts: Mapping[str, pulumi.ResourceOptions],
) -> Deployed:
    """Deploy each client that has a cluster, with `opts` by its name, and a route to each host that admits it."""
    deployed = Deployed()
    for name, client in settings.clients.items():
        described: dict[str, Any] = {"identity": identities[name], "hosts": list(settings.hosts_of(name))}
        if not client.is_partner:
            credential = certificates.client(name, identities[name], client.domain)
            cluster = EgressClient(
                f"client-{name}",
                EgressClientArgs(
                    platform=settings.platform,
                    namespace=namespace,
                    demo_image=settings.client_image if client.demo else "",
                    callers=client.callers or (),
                    client=credential,
                    ca_certificate=certificates.ca.certificate,
                    closed=client.network_policy != NetworkPolicy.NONE,
                    closed_namespaces=_closed_namespaces(settings, client),
                ),
                opts[name],
            )
            for host_name, host in settings.hosts_of(name).items():
                _deploy_route(settings, deployed, cluster, (name, client), (host_name, host), identities[name])
            described |= {
                "namespace": cluster.namespace,
                "secret": cluster.secret,
                "subject": credential.subject,
                "expiry": credential.expiry,
            }
        deployed.clients[name] = described
    return deployed


def _deploy_route(
    settings: Settings,
    deployed: Deployed,
    cluster: EgressClient,
    named_client: tuple[str, Client],
    named_host: tuple[str, Host],
    identity: str,
) -> None:
    (client_name, client), (host_name, host) = named_client, named_host
    # A dot ends no name: those of client a-b and host c are not those of client a and host b-c.
    name, child = f"client-{client_name}.{host_name}", pulumi.ResourceOptions(parent=cluster)
    secret: pulumi.Output[str] | None = cluster.secret
    if host.external:
        given = host.external.credentials.get(client_name)
        args = PartnerCredentialArgs(
            host=host_name,
            namespace=cluster.namespace,
            client=client_name,
            identity=identity,
            client_domain=client.domain,
            key_algorithm=settings.key_algorithm,
            ca_certificate=host.external.certificate_authority,
            certificate=given.certificate if given else "",
            key=given.key.get_secret_value() if given else "",
        )
        credential = PartnerCredential(name, args, child)
        secret = credential.secret
        if credential.request:
            deployed.signing_requests.setdefault(host_name, {})[client_name] = credential.request
    if secret is None:
        return  # the partner has not signed yet
    route = EgressRouteArgs(
        host=host_name,
        domain=host.domain,
        port=host.external.port if host.external else 443,
        namespace=cluster.namespace,
        secret=secret,
        callers=cluster.callers,
        caller_namespaces=_foreign(settings, client),
        passthrough=client.gateway_passthrough,
    )
    EgressRoute(name, route, child)


def _closed_namespaces(settings: Settings, client: Client) -> tuple[str, ...]:
    return _foreign(settings, client) if client.network_policy == NetworkPolicy.CALLERS else ()


def _foreign(settings: Settings, client: Client) -> tuple[str, ...]:
    """Return the callers' namespaces, the stack's own aside."""
    return tuple(namespace for namespace in client.caller_namespaces if namespace != settings.namespace)
