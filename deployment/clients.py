"""The client clusters and their routes, as the settings ask for them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pulumi

from clusters.facts import ClusterFacts
from components.certificates import Certificates, Credential
from components.demo import CURL
from components.egress_client import EgressClient, EgressClientArgs
from components.egress_route import EgressRoute, EgressRouteArgs
from components.partner_credential import PartnerCredential, PartnerCredentialArgs
from settings import Client, External, NetworkPolicy, Settings


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
    offers: Mapping[str, ClusterFacts],
    opts: Mapping[str, pulumi.ResourceOptions],
) -> Deployed:
    """Deploy each client that has a cluster, with `opts` by its name, and a route to each host that admits it.

    offers: of the clusters, by the paths of the config that name them
    """
    deployed = Deployed()
    for name, client in settings.clients.items():
        hosts = settings.hosts_of(name)
        deployed.clients[name] = {"identity": identities[name], "hosts": list(hosts)}
        if client.is_partner:
            continue
        credential = certificates.client(name, identities[name], client.domain)
        offer = offers[f"clients.{name}"]
        cluster = _cluster(settings, name, namespace, credential, offer, opts[name])
        deployed.clients[name] |= {
            "namespace": cluster.namespace,
            "callers": list(client.callers or [pulumi.Output.concat(cluster.namespace, "/", CURL)]),
            "egressGateway": offer.gateway.name,
            "accessLog": not offer.logs_elsewhere,
            "secret": cluster.secret,
            "subject": credential.subject,
            "expiry": credential.expiry,
        }
        for host_name, host in hosts.items():
            secret: pulumi.Output[str] | None = cluster.secret
            if host.external:
                partner = _partner_credential(settings, cluster, name, host_name, host.external, identities[name])
                secret = partner.secret
                if partner.request:
                    deployed.signing_requests.setdefault(host_name, {})[name] = partner.request
            if secret is not None:  # else the partner has not signed yet
                _route(settings, cluster, name, host_name, secret)
    return deployed


def _cluster(
    settings: Settings,
    name: str,
    namespace: pulumi.Input[str],
    credential: Credential,
    offer: ClusterFacts,
    opts: pulumi.ResourceOptions,
) -> EgressClient:
    client = settings.clients[name]
    closes_callers = client.network_policy == NetworkPolicy.CALLERS
    args = EgressClientArgs(
        platform=settings.platform,
        namespace=namespace,
        injection=offer.injection,
        gateway=replace(offer.gateway, passthrough=client.gateway_passthrough),
        logs_requests=not offer.logs_elsewhere,
        demo_image=settings.client_image if client.demo else "",
        callers=client.callers or (),
        client=credential,
        closed=client.network_policy != NetworkPolicy.NONE,
        closed_namespaces=_foreign_namespaces(settings, client) if closes_callers else (),
        allowed_destinations=offer.allowed_destinations,
    )
    return EgressClient(f"client-{name}", args, opts)


def _partner_credential(
    settings: Settings, cluster: EgressClient, client: str, host: str, external: External, identity: str
) -> PartnerCredential:
    given = external.credentials.get(client)
    args = PartnerCredentialArgs(
        host=host,
        namespace=cluster.namespace,
        gateway=cluster.gateway,
        client=client,
        identity=identity,
        client_domain=settings.clients[client].domain,
        key_algorithm=settings.key_algorithm,
        ca_certificate=external.certificate_authority,
        certificate=given.certificate if given else "",
        key=given.key.get_secret_value() if given else "",
    )
    return PartnerCredential(_named(client, host), args, pulumi.ResourceOptions(parent=cluster))


def _route(settings: Settings, cluster: EgressClient, client: str, host: str, secret: pulumi.Output[str]) -> None:
    external = settings.hosts[host].external
    args = EgressRouteArgs(
        host=host,
        domain=settings.hosts[host].domain,
        port=external.port if external else 443,
        namespace=cluster.namespace,
        gateway=cluster.gateway,
        secret=secret,
        callers=cluster.callers,
        caller_namespaces=_foreign_namespaces(settings, settings.clients[client]),
    )
    EgressRoute(_named(client, host), args, pulumi.ResourceOptions(parent=cluster))


def _named(client: str, host: str) -> str:
    # A hyphen instead of the dot would make client a-b and host c the same as client a and host b-c.
    return f"client-{client}.{host}"


def _foreign_namespaces(settings: Settings, client: Client) -> tuple[str, ...]:
    """Return the callers' namespaces, the stack's own aside."""
    return tuple(namespace for namespace in client.caller_namespaces if namespace != settings.namespace)
