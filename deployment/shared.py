"""Settings, namespace, certificates and identities, which all parts of a stack share."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import pulumi
import pulumi_random as random

from components.certificates import AuthorityArgs, Certificates
from deployment.identities import identities
from outputs import ClientOutput, HostOutput
from settings import Settings


@dataclass(frozen=True)
class Shared:
    """Settings and components that all parts of a stack share.

    owner: the value of its label on each of its objects
    namespace: the one that it makes in each cluster
    authority: the terms of its certificates
    identities: of its clients, by name
    """

    settings: Settings
    owner: pulumi.Input[str]
    namespace: pulumi.Input[str]
    authority: AuthorityArgs
    certificates: Certificates
    identities: Mapping[str, str]

    @classmethod
    def create(cls, settings: Settings, owner: pulumi.Input[str]) -> Self:
        """Register the certificates, and the random suffix of the namespace if the config does not name that."""
        namespace: pulumi.Input[str] = settings.namespace
        if not namespace:
            suffix = random.RandomString("suffix", length=5, special=False, upper=False).result
            # In `pulumi destroy --run-program`, what was never deployed has outputs that are None.
            namespace = suffix.apply(lambda made: f"kyma-mtls-{made or ''}")
        authority = AuthorityArgs(
            key_algorithm=settings.key_algorithm,
            validity_hours=settings.validity_days * 24,
            ca_validity_hours=settings.ca_validity_days * 24,
            early_renewal_hours=settings.renew_before_days * 24,
            generation=settings.generation,
            trusted_generations=settings.trusted_generations,
        )
        certificates = Certificates("certificates", authority)
        return cls(settings, owner, namespace, authority, certificates, identities(settings, pulumi.get_stack()))

    def admitted(self, host: str) -> dict[str, str]:
        """Return the identities that a host admits, by the client's name."""
        return {client: self.identities[client] for client in self.settings.admitted(host)}

    def partner_hosts(self) -> dict[str, Any]:
        """Return the outputs of the hosts that partners serve, by name."""
        return {
            name: HostOutput.exported(domain=host.domain, external=True, clients=self.admitted(name))
            for name, host in self.settings.hosts.items()
            if host.external
        }

    def partner_clients(self) -> dict[str, Any]:
        """Return the outputs of the clients that partners have, by name."""
        return {
            name: ClientOutput.exported(identity=client.identity, hosts=list(self.settings.hosts_of(name)))
            for name, client in self.settings.clients.items()
            if client.is_partner
        }
