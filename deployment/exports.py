"""The stack's outputs, collected while its sites are deployed."""

from dataclasses import dataclass, field
from typing import Any

import pulumi

import outputs
from components.certificates import Certificates


@dataclass
class Exports:
    """The outputs of hosts and clients by name, of the target and the Kyma gateway, and the requests to sign.

    signing_requests: by host and client
    """

    hosts: dict[str, Any]
    clients: dict[str, Any]
    target: dict[str, Any] | None = None
    gateway: dict[str, Any] | None = None
    signing_requests: dict[str, dict[str, pulumi.Output[str]]] = field(default_factory=dict)

    def export(self, certificates: Certificates) -> None:
        """Export all outputs; those of parts that the stack does not have are absent."""
        parts = {"target": self.target, "gateway": self.gateway}
        exported = outputs.Outputs.exported(
            version=outputs.VERSION,
            ca_certificate=certificates.trusted,
            ca_expiry=certificates.ca.expiry,
            hosts=self.hosts,
            clients=self.clients,
            signing_requests=self.signing_requests,
            **{name: part for name, part in parts.items() if part},
        )
        for name, value in exported.items():
            pulumi.export(name, value)
