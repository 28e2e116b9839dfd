"""The hosts: what the target serves, and what partners serve to clients of the stack."""

import re
from typing import Annotated, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from components import rules
from settings import certificates
from settings.clients import CertificateAuthority
from settings.section import Section, encrypted_in
from settings.values import Domain, Label, Name, Port, each_once, refuse, with_final_newline

_OWNED_BY_THE_CLUSTER = re.compile(r"istio-system|kube-.*")


def _service_namespace(value: str) -> str:
    if _OWNED_BY_THE_CLUSTER.fullmatch(value):
        raise ValueError("belongs to the cluster; what it serves is not for others")
    return value


def _some(value: tuple[str, ...]) -> tuple[str, ...]:
    if not value:
        raise ValueError("empty; nothing would be served")
    each_once(value)
    return value


def _each_once(value: tuple[str, ...]) -> tuple[str, ...]:
    each_once(value)
    return value


def _required_authority(value: str) -> str:
    if not value:
        raise ValueError("empty; the PEM certificates of the host's CAs belong here")
    return value


Path = Annotated[str, AfterValidator(rules.path), Field(json_schema_extra={"pattern": f"^{rules.PATH}$"})]


class Service(Section):
    """A Service of the target cluster that the stack does not own."""

    namespace: Annotated[Label, AfterValidator(_service_namespace)] = Field(description="Names the Service's namespace")
    name: Label = Field(description="Names the Service")
    port: Port = Field(description="Names the Service's port, by its number")


class ExternalCredential(Section):
    """What a client shows to a partner's host."""

    certificate: Annotated[str, AfterValidator(with_final_newline)] = Field(
        description="Shows this PEM certificate, followed by those that signed it, to the partner's host. Without "
        "key, it is the partner's answer to the signing request"
    )
    key: Annotated[SecretStr, encrypted_in("hosts")] = Field(
        default=SecretStr(""),
        description="Proves the certificate with this PEM private key, without a passphrase; needs --secret",
    )

    @model_validator(mode="after")
    def _agree(self) -> Self:
        refuse(*certificates.credential_problems(self.certificate, self.key.get_secret_value()))
        return self


class External(Section):
    """How clients know a partner's host, and it knows them."""

    certificate_authority: Annotated[CertificateAuthority, AfterValidator(_required_authority)] = Field(
        description="Trusts the host's certificate if one of these CAs signed it, PEM"
    )
    port: Annotated[Port, AfterValidator(rules.https_port)] = Field(
        default=443, description="Calls the host at this port; not 80, where callers ask for it in plain HTTP"
    )
    credentials: dict[Name, ExternalCredential] = Field(
        default={},
        description="Gives credentials to clients, by the client's name. For a client without one, the stack has a "
        "signing request as an output, and its route waits for the answer",
    )


class Host(Section):
    """What clients call by a domain name."""

    domain: Domain = Field(
        description="Serves this domain name, which resolves to the target's ingress gateway, or is the partner's; "
        "at most 64 characters, lower case"
    )
    service: Service | None = Field(
        default=None,
        description="Routes to this Service of the target cluster. Without it, the stack deploys a demo httpbin",
    )
    methods: Annotated[tuple[rules.Method, ...], AfterValidator(_some)] = Field(
        default=("GET",), description="Serves these HTTP methods, no others"
    )
    paths: Annotated[tuple[Path, ...], AfterValidator(_some)] = Field(
        default=("/*",),
        description="Serves these paths, no others: exact (`/health`), or all that begin so (`/orders/*`)",
    )
    clients: Annotated[tuple[Name, ...], AfterValidator(_each_once)] | None = Field(
        default=None,
        description="Admits these clients, no others; [] admits nobody. May be left out if the stack has one client",
    )
    external: External | None = Field(
        default=None, description="Makes it a partner's host: nothing is deployed for it but the clients' routes"
    )

    @property
    def demo(self) -> bool:
        """Whether the stack brings what serves, an httpbin."""
        return self.service is None and self.external is None

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.external:
            given = [name for name in ("service", "methods", "paths") if name in self.model_fields_set]
            refuse(*((name, "set, but external makes it a partner's host, which no route serves") for name in given))
        return self
