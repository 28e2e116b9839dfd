"""The config keys of a stack, as one object."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic.fields import FieldInfo

from components.choices import KeyAlgorithm, Platform
from components.rules import LABEL
from settings.clients import Client
from settings.clusters import ClusterAccess, TargetCluster
from settings.gateway import GatewaySettings
from settings.hosts import Host
from settings.section import Section, keys
from settings.values import TEXT_OR_NUMBER, Days, Name, each_once

_RESERVED_NAMESPACES = re.compile(r"default|istio-system|kyma-system|kyma-installer|kube-.*")
_LONGEST_NAMESPACE = 30
_CONFIRMATION = r"[A-Za-z][A-Za-z0-9._-]*=.*"
_LONGEST_GENERATION = 20
_MOST_TRUSTED = 3


def _namespace(value: str) -> str:
    if value and not re.fullmatch(LABEL, value):
        raise ValueError("not a namespace's name: lower-case letters, digits and hyphens")
    if len(value) > _LONGEST_NAMESPACE:
        raise ValueError(f"longer than {_LONGEST_NAMESPACE} characters: it is part of the names of objects")
    if _RESERVED_NAMESPACES.fullmatch(value):
        raise ValueError("belongs to the cluster; the stack makes (and destroys) a namespace of its own")
    return value


def _confirmation(value: str) -> str:
    if not re.fullmatch(_CONFIRMATION, value):
        raise ValueError("not KEY=NEWVALUE, the changed key and its new value")
    return value


def _generation(value: str) -> str:
    if len(value) > _LONGEST_GENERATION or not re.fullmatch(LABEL, value):
        raise ValueError(f"not a generation: at most {_LONGEST_GENERATION} lower-case letters, digits and hyphens")
    if value.endswith("-cacert"):
        raise ValueError("ends in -cacert, by which Istio knows Secrets that hold a CA")
    return value


Confirmation = Annotated[str, AfterValidator(_confirmation), Field(json_schema_extra={"pattern": f"^{_CONFIRMATION}$"})]

Generation = Annotated[
    str,
    AfterValidator(_generation),
    Field(json_schema_extra={"pattern": f"^{LABEL}$", "maxLength": _LONGEST_GENERATION}),
    TEXT_OR_NUMBER,
]


class Settings(Section):
    """One field for each config key, in camelCase there; those of the Kyma gateway are in `gateway`."""

    platform: Platform = Field(
        default=Platform.KYMA,
        description="Platform of every cluster: kyma (APIRule v2, Istio CR) or istio (VirtualService, egress gateway "
        "as installed)",
    )
    namespace: Annotated[str, AfterValidator(_namespace)] = Field(
        default="",
        description="Namespace that the stack makes in every cluster; empty for kyma-mtls-SUFFIX with a random suffix. "
        "The names of the stack's objects in the gateways' namespaces end in it, so that several stacks can share a "
        "cluster",
    )
    target: TargetCluster | None = Field(
        default=None,
        description="Cluster that serves the hosts. Needed for hosts that are no partner's, and for a Kyma gateway",
    )
    clients: dict[Name, Client] = Field(
        default={},
        description="Clients by name: clusters of the stack, and partners' clients. A name has at most 30 lower-case "
        "letters, digits and hyphens",
    )
    hosts: dict[Name, Host] = Field(
        default={},
        description="Hosts by name: domain names that the target or a partner serves. A name has at most 30 lower-case "
        "letters, digits and hyphens",
    )
    confirm: Annotated[tuple[Confirmation, ...], AfterValidator(each_once)] = Field(
        default=(),
        description="Disruptive changes that you accept, each KEY=NEWVALUE as the preview prints it",
    )
    key_algorithm: KeyAlgorithm = Field(
        default=KeyAlgorithm.ECDSA_P256,
        description="Algorithm of every new private key. A change re-issues the keys and certificates of hosts and "
        "clients; a CA keeps its key until `generation` changes",
    )
    ca_validity_days: Days = Field(
        default=1825,
        description="Days for which a CA's certificate is valid; more than validityDays and renewBeforeDays together",
    )
    validity_days: Days = Field(
        default=365,
        description="Days for which the certificates of hosts and clients are valid",
    )
    renew_before_days: Days = Field(
        default=30,
        description="Days before the end of a certificate from which on `pulumi up` renews it; less than validityDays. "
        "A CA's is renewed early enough that no certificate outlives its CA",
    )
    generation: Generation = Field(
        default="1",
        description="Generation of the CA that signs; part of the name of each Secret with a credential. A new "
        "generation makes a new CA and new Secrets, which re-issues all keys and certificates, ends open connections, "
        "and ends trust in the old CA unless trustedGenerations names it; at most 20 lower-case letters, digits and "
        "hyphens",
    )
    trusted_generations: Annotated[tuple[Generation, ...], AfterValidator(each_once)] = Field(
        default=(),
        max_length=_MOST_TRUSTED,
        description="Further generations whose CAs are trusted while certificates move from one generation to the "
        "next; at most three. Part of the Secrets' names, as generation is",
    )
    target_image: Annotated[str, Field(min_length=1)] = Field(
        default="docker.io/mccutchen/go-httpbin:v2.15.0",
        description="Image of the demo httpbin: a go-httpbin that listens on port 8080",
    )
    client_image: Annotated[str, Field(min_length=1)] = Field(
        default="docker.io/curlimages/curl:8.11.1",
        description="Image of the demo caller, with curl and sleep",
    )
    gateway: GatewaySettings = GatewaySettings()

    @classmethod
    def keys(cls) -> dict[str, FieldInfo]:
        """Return every top-level config key, and the field that it is read into."""
        own = {key: field for key, field in keys(cls).items() if key != "gateway"}
        return own | dict(keys(GatewaySettings))

    @property
    def served(self) -> dict[str, Host]:
        """The hosts that the target serves."""
        return {name: host for name, host in self.hosts.items() if host.external is None}

    @property
    def own_clients(self) -> dict[str, Client]:
        """The clients with a cluster of the stack."""
        return {name: client for name, client in self.clients.items() if not client.is_partner}

    @property
    def present_clients(self) -> dict[str, Client]:
        """The clients with a cluster of the stack that is not away."""
        return {name: client for name, client in self.own_clients.items() if not client.away}

    @property
    def away(self) -> tuple[str, ...]:
        """The names of the clients with a cluster of the stack that is away."""
        return tuple(name for name, client in self.own_clients.items() if client.away)

    def admitted(self, host: str) -> tuple[str, ...]:
        """Return the names of the clients that a host admits."""
        named = self.hosts[host].clients
        return tuple(self.clients) if named is None else named

    def hosts_of(self, client: str) -> dict[str, Host]:
        """Return the hosts that admit a client."""
        return {name: host for name, host in self.hosts.items() if client in self.admitted(name)}

    def known_to(self, client: str) -> dict[str, Host]:
        """Return the hosts that the sidecars of a client's callers know: of several of one domain, one.

        That is the one which admits the client, or else the first.
        """
        chosen: dict[str, str] = {}
        for name, host in (*self.hosts_of(client).items(), *self.hosts.items()):
            chosen.setdefault(host.domain, name)
        return {name: host for name, host in self.hosts.items() if chosen[host.domain] == name}

    @property
    def target_access(self) -> ClusterAccess | None:
        """How to reach the target; None without one."""
        if self.target is None:
            return None
        return ClusterAccess(path="target", kubeconfig=self.target.kubeconfig, context=self.target.context)

    def client_access(self, name: str) -> ClusterAccess:
        """Return how to reach the cluster of a client that has one."""
        client = self.clients[name]
        return ClusterAccess(path=f"clients.{name}", kubeconfig=client.kubeconfig, context=client.context)
