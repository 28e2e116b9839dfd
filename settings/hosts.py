"""The hosts: domain names that the target serves, and those that partners serve to clients of the stack."""

import re
from typing import Annotated, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from components import rules
from settings import certificate_checks
from settings.clients import CertificateAuthority
from settings.section import Section, encrypted_in
from settings.values import Domain, Label, Name, Port, common_name, each_once, refuse

_RESERVED_NAMESPACES = re.compile(r"istio-system|kube-.*")


def _service_namespace(value: str) -> str:
    if _RESERVED_NAMESPACES.fullmatch(value):
        raise ValueError("belongs to the cluster; its Services are not for hosts")
    return value


def _some(value: tuple[str, ...]) -> tuple[str, ...]:
    if not value:
        raise ValueError("empty; nothing would be served")
    return each_once(value)


def _required_authority(value: str) -> str:
    if not value:
        raise ValueError("empty; the PEM certificates of the host's CAs belong here")
    return value


Path = Annotated[str, AfterValidator(rules.path), Field(json_schema_extra={"pattern": f"^{rules.PATH}$"})]


class Service(Section):
    """A Service of the target cluster that the stack does not own."""

    namespace: Annotated[Label, AfterValidator(_service_namespace)] = Field(description="Namespace of the Service")
    name: Label = Field(description="Name of the Service")
    port: Port = Field(description="Port of the Service, a number, at which the server answers HTTP")


class ExternalCredential(Section):
    """The certificate and key by which a client authenticates to a partner's host."""

    certificate: Annotated[str, AfterValidator(certificate_checks.rewritten)] = Field(
        description="PEM certificate of the client, followed by those that signed it. Without key, it is the "
        "partner's answer to the signing request of output signingRequests"
    )
    key: Annotated[SecretStr, encrypted_in("hosts")] = Field(
        default=SecretStr(""),
        description="PEM private key of the certificate, without a passphrase; set with --secret",
    )

    @model_validator(mode="after")
    def _agree(self) -> Self:
        refuse(*certificate_checks.credential_problems(self.certificate, self.key.get_secret_value()))
        return self


class External(Section):
    """A partner's host: the CAs and the port of its server, and the credentials of its clients."""

    certificate_authority: Annotated[CertificateAuthority, AfterValidator(_required_authority)] = Field(
        description="CAs one of which signed the host's certificate, PEM or file:PATH of such a file in the project"
    )
    port: Annotated[Port, AfterValidator(rules.https_port)] = Field(
        default=443, description="Port of the host's server; not 80, at which callers ask for the host in plain HTTP"
    )
    credentials: dict[Name, ExternalCredential] = Field(
        default={},
        description="Credentials of the clients, by the client's name. For a client without one, the stack makes a "
        "key and a signing request (output signingRequests); its route waits for the partner's answer",
    )


class Host(Section):
    """A domain name that clients call, and the server behind it."""

    domain: Domain = Field(
        description="Domain name of the host, in lower case, at most 64 characters if it is not a partner's. It "
        "resolves to the target's ingress gateway, or to the partner's server"
    )
    service: Service | None = Field(
        default=None,
        description="Service of the target cluster that serves the host. Not set, the stack deploys a demo httpbin",
    )
    methods: Annotated[tuple[rules.Method, ...], AfterValidator(_some)] = Field(
        default=("GET",), description="HTTP methods that are served; requests with further ones are denied"
    )
    paths: Annotated[tuple[Path, ...], AfterValidator(_some)] = Field(
        default=("/*",),
        description="Paths that are served: exact (`/health`) or by prefix (`/orders/*`); requests for further ones "
        "are denied, and with a prefix those whose path has %2f, %5c or %25",
    )
    clients: Annotated[tuple[Name, ...], AfterValidator(each_once)] | None = Field(
        default=None,
        description="Names of the clients that the host admits; [] admits none. Not set, it admits the stack's only "
        "client",
    )
    external: External | None = Field(
        default=None,
        description="Makes the host a partner's: the stack deploys the routes of its clients, and nothing into the "
        "target",
    )

    @property
    def demo(self) -> bool:
        """Whether the stack deploys the server, httpbin."""
        return self.service is None and self.external is None

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.external:
            given = [name for name in ("service", "methods", "paths") if name in self.model_fields_set]
            refuse(*((name, "set, but external makes it a partner's host, which no route serves") for name in given))
            return self
        try:
            common_name(self.domain)
        except ValueError as error:
            refuse(("domain", f"{self.domain!r}: {error}"))
        return self
