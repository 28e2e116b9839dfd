"""The outputs as models: name, type and meaning of each, and the version of the contract that it came with."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel

from components.namespaced_name import NamespacedName

VERSION = "1.0"
"""Version of the contract; it grows with every output or field that is added."""

Pem = Annotated[str, WithJsonSchema({"type": "string", "format": "PEM", "pattern": "^-----BEGIN "})]
Time = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
Name = Annotated[str, WithJsonSchema({"type": "string", "format": "NAMESPACE/NAME", "pattern": "^[^/]+/[^/]+$"})]


def promised(description: str, *, since: str = "1.0", **options: Any) -> Any:
    """Return a field that the contract has since this version."""
    return Field(description=description, json_schema_extra={"since": since}, **options)


class _Output(BaseModel):
    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)

    @classmethod
    def exported(cls, **fields: Any) -> dict[str, Any]:
        """Return fields, whose values may be Outputs of Pulumi, by the names under which a stack exports them.

        Raise TypeError for a field that the model does not have, or a required one that is missing.
        """
        required = {name for name, field in cls.model_fields.items() if field.is_required()}
        if wrong := (fields.keys() - cls.model_fields.keys()) | (required - fields.keys()):
            raise TypeError(f"{cls.__name__}: unknown or missing: {', '.join(sorted(wrong))}")
        return {str(cls.model_fields[name].alias): value for name, value in fields.items()}


class TargetOutput(_Output):
    """The target cluster."""

    namespace: str = promised("The stack's namespace in it")
    ingress_gateway: Name = promised("The Service of the ingress gateway that serves the hosts")
    address: str = promised("The first of the ingress gateway's addresses; empty while it has none")
    addresses: tuple[str, ...] = promised("All IP addresses, or host names, of the ingress gateway")

    @property
    def gateway(self) -> NamespacedName:
        """The ingress gateway's Service."""
        return NamespacedName.parse(self.ingress_gateway)


class HostOutput(_Output):
    """One host."""

    domain: str = promised("Its domain name: declared callers request `http://DOMAIN`, all other clients https")
    external: bool = promised("Whether it is a partner's host")
    clients: dict[str, str] = promised("The identities that it admits, by the client's name")
    gateway: Name = promised("Its Gateway in the target; absent for a partner's host", default="")
    secret: str = promised(
        "The Secret with its certificate, in the ingress gateway's namespace; absent for a partner's host", default=""
    )
    expiry: Time = promised("The end of its certificate; absent for a partner's host", default="")


class ClientOutput(_Output):
    """One client."""

    identity: str = promised("The identity that its certificate proves: `spiffe://…`, or `dns:NAME` of a partner's")
    hosts: tuple[str, ...] = promised("The names of the hosts that admit it")
    namespace: str = promised("The stack's namespace in its cluster; absent for a partner's", default="")
    callers: tuple[str, ...] = promised(
        "The workloads that its egress gateway admits, each NAMESPACE or NAMESPACE/SERVICEACCOUNT; absent for a "
        "partner's",
        default=(),
    )
    egress_gateway: Name = promised(
        "The Service of the egress gateway that its callers go through; absent for a partner's", default=""
    )
    access_log: bool = promised(
        "Whether the stack configures that gateway's access log; absent for a partner's", default=False
    )
    secret: str = promised(
        "The Secret with its certificate, in the egress gateway's namespace; absent for a partner's", default=""
    )
    subject: str = promised("The Subject of its certificate; absent for a partner's", default="")
    expiry: Time = promised("The end of its certificate; absent for a partner's", default="")

    @property
    def gateway(self) -> NamespacedName:
        """The egress gateway's Service; raise ValueError for a partner's client, which has none."""
        return NamespacedName.parse(self.egress_gateway)


class GatewayOutput(_Output):
    """The Kyma gateway."""

    domain: str = promised("It serves `*.DOMAIN`")
    gateway: Name = promised("Its Gateway in the target, for your own APIRules and VirtualServices")
    address: str = promised("The first of the ingress gateway's addresses; empty while it has none")
    ca_certificate: Pem = promised("The CA for its clients to trust")
    secret: str = promised("The Secret with its certificate, in the ingress gateway's namespace")
    ca_secret: str = promised("The Secret with its CA, in the ingress gateway's namespace")
    apiserver_proxy: str = promised("The host name of Kyma's apiserver-proxy; absent without one", default="")


class Outputs(_Output):
    """The outputs of a deployed stack."""

    version: str = promised("The version of this contract that the outputs follow")
    ca_certificate: Pem = promised(
        "The CAs to trust for the stack's hosts: that of `generation`, then those of `trustedGenerations`"
    )
    ca_expiry: Time = promised("The end of the first CA's certificate")
    target: TargetOutput | None = promised("The target cluster; absent without one", default=None)
    hosts: dict[str, HostOutput] = promised("Every host, by its name in the config")
    clients: dict[str, ClientOutput] = promised("Every client, by its name in the config")
    signing_requests: dict[str, dict[str, Pem]] = promised(
        "The requests for partners to sign, by host and client, where the stack made the client's key"
    )
    gateway: GatewayOutput | None = promised("The Kyma gateway; absent without one", default=None)
