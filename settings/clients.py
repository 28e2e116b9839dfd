"""The clients: clusters of the stack that call, and partners' clients, of which the stack knows the certificate."""

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path, PurePath
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from components import rules
from components.namespaced_name import NamespacedName
from settings import authorities, destinations
from settings.clusters import EGRESS_GATEWAY, Context, GatewayPassthrough, Kubeconfig, Revision
from settings.section import PROJECT, Section
from settings.values import OptionalDomain, OptionalServiceName, ServiceName, each_once, refuse

_FILE = "file:"
_OWN_IDENTITIES = f"spiffe://{PROJECT}/"


class NetworkPolicy(StrEnum):
    """Namespaces of a client's cluster whose Pods get a NetworkPolicy: they call out by the egress gateway only."""

    OWN = "own"
    CALLERS = "callers"
    NONE = "none"


def _callers(value: tuple[str, ...]) -> tuple[str, ...]:
    if not value:
        raise ValueError("empty; name a caller, or leave the key out for the demo's curl")
    return each_once(value)


def _certificate_authority(value: str) -> str:
    if not value:
        return value
    pem = _content(value.removeprefix(_FILE)) if value.startswith(_FILE) else value
    refuse(*(("", problem) for problem in authorities.problems(pem)))
    return authorities.in_order(pem)


def _content(name: str) -> str:
    """Return the text of a file of the project; a stack's config travels in a variable of at most 128 KiB."""
    path = PurePath(name)
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(f"{_FILE}{name}: not a path within the project")
    if str(path) != name:  # by which the pipeline finds the stacks that a changed file is of
        raise ValueError(f"{_FILE}{name}: write {_FILE}{path}")
    try:
        return Path(path).read_text()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise ValueError(f"{_FILE}{name}: cannot be read: {reason}") from None


def _identity(value: str) -> str:
    if value.startswith(_OWN_IDENTITIES):
        raise ValueError(f"{_OWN_IDENTITIES} begins the identities that stacks of {PROJECT} give to their own clients")
    return rules.identity(value) if value else value


def _destination(value: str) -> str:
    destinations.parse(value)
    return value


CertificateAuthority = Annotated[str, AfterValidator(_certificate_authority)]
Caller = Annotated[str, AfterValidator(rules.caller), Field(json_schema_extra={"pattern": f"^{rules.CALLER}$"})]

AllowedDestination = Annotated[
    str, AfterValidator(_destination), Field(json_schema_extra={"pattern": f"^({destinations.PATTERN})$"})
]


class Client(Section):
    """A cluster that calls out, or a partner's client."""

    kubeconfig: Kubeconfig = ""
    context: Context = ""
    domain: OptionalDomain = Field(
        default="",
        description="DNS name in the client's certificate, and its common name; empty for none; at most 64 characters",
    )
    callers: Annotated[tuple[Caller, ...], AfterValidator(_callers)] | None = Field(
        default=None,
        description="Workloads that the egress gateway admits, each NAMESPACE or NAMESPACE/SERVICEACCOUNT. Not set, "
        "the stack deploys a demo caller, curl, into its own namespace",
    )
    network_policy: NetworkPolicy = Field(
        default=NetworkPolicy.OWN,
        description="Namespaces whose Pods a NetworkPolicy restricts to their own namespace, the egress gateway, DNS "
        "and istiod: the stack's own (own), the stack's own and the callers' (callers), or none (none), which weakens "
        "security",
    )
    allowed_destinations: Annotated[tuple[AllowedDestination, ...], AfterValidator(each_once)] = Field(
        default=(),
        description="With networkPolicy callers, further destinations of the Pods in the callers' namespaces: "
        "NAMESPACE or NAMESPACE:PORT for its Pods, CIDR:PORT for addresses; ports are for TCP",
    )
    dns: OptionalServiceName = Field(
        default="",
        description="Service of the cluster's DNS, NAMESPACE/NAME, which the stack's NetworkPolicies allow; empty for "
        "kube-system/kube-dns, or its counterpart on RKE2 and OpenShift",
    )
    egress_gateway: ServiceName = Field(
        default=EGRESS_GATEWAY,
        description="Service of the Istio egress gateway that calls the hosts, NAMESPACE/NAME. On platform kyma, the "
        "stack enables the default one in the Istio CR",
    )
    away: bool = Field(
        default=False,
        description="Goes on without this cluster while it cannot be reached: it is not asked, and what the stack has "
        "there stays as it is. Hosts still admit, or refuse, the client",
    )
    revision: Revision = ""
    gateway_passthrough: GatewayPassthrough = False
    certificate_authority: CertificateAuthority = Field(
        default="",
        description="CAs that sign the certificate of a partner's client, PEM or file:PATH of such a file in the "
        "project. With them, the client has an identity and no cluster of the stack",
    )
    identity: Annotated[str, AfterValidator(_identity)] = Field(
        default="",
        description="Subject alternative name by which hosts admit the partner's certificate: "
        "spiffe://TRUSTDOMAIN/PATH or dns:NAME",
    )

    @property
    def is_partner(self) -> bool:
        """Whether a partner has this client: it has a CA and an identity, and no cluster of the stack."""
        return bool(self.certificate_authority)

    @property
    def demo(self) -> bool:
        """Whether the stack deploys the caller, curl."""
        return self.callers is None and not self.is_partner

    @property
    def caller_namespaces(self) -> tuple[str, ...]:
        """The namespaces of the callers, each once; none for the demo caller."""
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
        if self.allowed_destinations and self.network_policy != NetworkPolicy.CALLERS:
            yield "allowedDestinations", "set, but no namespace of callers is closed: needs networkPolicy callers"
        gateway_namespace = NamespacedName.parse(self.egress_gateway).namespace
        for index, caller in enumerate(self.callers or ()):
            if caller.partition("/")[0] == gateway_namespace:
                yield (
                    f"callers[{index}]",
                    f"{caller!r}: {gateway_namespace} is the egress gateway's namespace, not a caller's",
                )


def _alias(name: str) -> str:
    return str(Client.model_fields[name].alias)
