"""The clients: clusters that call out, and partners' clients, which are known by their certificate only."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from components import rules
from settings import certificates
from settings.clusters import EGRESS_GATEWAY, Context, GatewayPassthrough, Kubeconfig, Revision
from settings.section import PROJECT, Section
from settings.values import OptionalDomain, OptionalServiceName, ServiceName, each_once, refuse, with_final_newline

_OURS = f"spiffe://{PROJECT}/"


class NetworkPolicy(StrEnum):
    """The namespaces of a client's cluster that may be left through the egress gateway only."""

    OWN = "own"
    CALLERS = "callers"
    NONE = "none"


def _callers(value: tuple[str, ...]) -> tuple[str, ...]:
    if not value:
        raise ValueError("empty; name a caller, or leave the key out for the demo's curl")
    each_once(value)
    return value


def _certificate_authority(value: str) -> str:
    if value:
        refuse(*(("", problem) for problem in certificates.authority_problems(value)))
    return with_final_newline(value)


def _identity(value: str) -> str:
    if value.startswith(_OURS):
        raise ValueError(f"{_OURS} begins the identities that stacks of this project give to their own clients")
    return rules.identity(value) if value else value


CertificateAuthority = Annotated[str, AfterValidator(_certificate_authority)]
Caller = Annotated[str, AfterValidator(rules.caller), Field(json_schema_extra={"pattern": f"^{rules.CALLER}$"})]


class Client(Section):
    """A cluster that calls out, or a partner's client."""

    kubeconfig: Kubeconfig = ""
    context: Context = ""
    domain: OptionalDomain = Field(
        default="",
        description="Puts this DNS name into the client's certificate, as its common name, too; at most 64 characters",
    )
    callers: Annotated[tuple[Caller, ...], AfterValidator(_callers)] | None = Field(
        default=None,
        description="Admits these workloads to the egress gateway, each NAMESPACE or NAMESPACE/SERVICEACCOUNT. "
        "Without it, the stack deploys a demo caller, a curl, into its own namespace",
    )
    network_policy: NetworkPolicy = Field(
        default=NetworkPolicy.OWN,
        description="Lets pods leave their namespace through the egress gateway only: in the stack's own namespace "
        "(own), in those of the callers, too (callers), or nowhere (none); none weakens security",
    )
    dns: OptionalServiceName = Field(
        default="",
        description="Lets pods ask the DNS behind this Service, NAMESPACE/NAME, where a NetworkPolicy closes their "
        "namespace; empty for kube-system/kube-dns, or what RKE2 and OpenShift have instead",
    )
    egress_gateway: ServiceName = Field(
        default=EGRESS_GATEWAY,
        description="Calls the hosts through the Istio egress gateway behind this Service, NAMESPACE/NAME. On "
        "platform kyma, the stack enables the default one",
    )
    revision: Revision = ""
    gateway_passthrough: GatewayPassthrough = False
    certificate_authority: CertificateAuthority = Field(
        default="",
        description="Trusts the certificates of these CAs, PEM: makes it a partner's client, which has an identity, "
        "and no cluster",
    )
    identity: Annotated[str, AfterValidator(_identity)] = Field(
        default="",
        description="Admits the partner's certificate with this subject alternative name: spiffe://TRUSTDOMAIN/PATH "
        "or dns:NAME",
    )

    @property
    def is_partner(self) -> bool:
        """Whether it is a partner's: known by its CA and identity, not by a cluster."""
        return bool(self.certificate_authority)

    @property
    def demo(self) -> bool:
        """Whether the stack brings the caller, a curl."""
        return self.callers is None and not self.is_partner

    @property
    def caller_namespaces(self) -> tuple[str, ...]:
        """The namespaces of the callers, each once; none for the demo's."""
        return tuple(dict.fromkeys(caller.partition("/")[0] for caller in self.callers or ()))

    @model_validator(mode="after")
    def _agree(self) -> Self:
        refuse(*(self._partner_conflicts() if self.certificate_authority or self.identity else self._own_conflicts()))
        return self

    def _partner_conflicts(self) -> Iterator[tuple[str, str]]:
        for name in ("certificate_authority", "identity"):
            if not getattr(self, name):
                yield _alias(name), "not set; a partner's client has both certificateAuthority and identity"
        for name in type(self).model_fields:
            if name in self.model_fields_set - {"certificate_authority", "identity"}:
                yield _alias(name), "set, but a partner's client has certificateAuthority and identity only"

    def _own_conflicts(self) -> Iterator[tuple[str, str]]:
        if self.network_policy == NetworkPolicy.CALLERS and not self.callers:
            yield "networkPolicy", "'callers': needs callers"
        gateways = self.egress_gateway.partition("/")[0]
        for index, caller in enumerate(self.callers or ()):
            if caller.partition("/")[0] == gateways:
                yield f"callers[{index}]", f"{caller!r}: {gateways} is the egress gateway's namespace, not a caller's"


def _alias(name: str) -> str:
    return str(Client.model_fields[name].alias)
