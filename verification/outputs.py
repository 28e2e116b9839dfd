"""The outputs of a deployed stack, as far as the verification needs them."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple, Self

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from settings import PROJECT, ConfigError, Settings


class Place(NamedTuple):
    """Where an object is."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


INGRESS_GATEWAY = "istio-system/istio-ingressgateway"
EGRESS_GATEWAY = "istio-system/istio-egressgateway"


class _Output(BaseModel):
    model_config = ConfigDict(frozen=True, alias_generator=to_camel)


class TargetOutput(_Output):
    """The stack's namespace, the ingress gateway's Service and its address; empty while its load balancer has none."""

    namespace: str = ""
    address: str | None = None
    ingress_gateway: str = INGRESS_GATEWAY

    @property
    def gateway(self) -> Place:
        """The ingress gateway's Service."""
        return Place(*self.ingress_gateway.split("/"))


class HostOutput(_Output):
    """A host's domain and the clients that it admits; for one that the target serves, its Gateway, NAMESPACE/NAME."""

    domain: str
    clients: dict[str, str]
    gateway: str = ""


class ClientOutput(_Output):
    """A client's identity; for one with a cluster, the stack's namespace, the credential's Secret and its Subject, the
    egress gateway's Service, and whether it logs requests.
    """

    identity: str
    namespace: str = ""
    secret: str = ""
    subject: str = ""
    egress_gateway: str = EGRESS_GATEWAY
    access_log: bool = True

    @property
    def gateway(self) -> Place:
        """The egress gateway's Service."""
        return Place(*self.egress_gateway.split("/"))


class GatewayOutput(_Output):
    """The Kyma gateway's domain, address and CA (PEM)."""

    domain: str
    address: str | None = None
    ca_certificate: str


class Outputs(_Output):
    """What a deployed stack says of itself."""

    ca_certificate: str
    target: TargetOutput | None = None
    hosts: dict[str, HostOutput]
    clients: dict[str, ClientOutput]
    gateway: GatewayOutput | None = None

    @classmethod
    def read(cls, stack: str, values: Mapping[str, object], settings: Settings) -> Self:
        """Check a stack's outputs; raise ConfigError if they are not those of its settings."""
        if not values:
            raise ConfigError(f"stack {stack} has no outputs yet; deploy it with `pulumi up`")
        try:
            outputs = cls.model_validate(values)
        except ValidationError as error:
            problems = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
            problems = [f"stack {stack}: output {problem}; deploy it again with `pulumi up`" for problem in problems]
            raise ConfigError(*problems) from None
        if problems := list(outputs._disagreements(settings)):
            raise ConfigError(*(f"{PROJECT}:{problem}; run `pulumi up`" for problem in problems))
        return outputs

    def _disagreements(self, settings: Settings) -> Iterator[str]:
        pairs = (("hosts", set(settings.hosts), set(self.hosts)), ("clients", set(settings.clients), set(self.clients)))
        for kind, wanted, deployed in pairs:
            yield from (f"{kind}.{name}: not deployed yet" for name in sorted(wanted - deployed))
            yield from (f"{kind}.{name}: deployed, but no longer in the config" for name in sorted(deployed - wanted))
        for name in sorted(settings.hosts.keys() & self.hosts.keys()):
            if set(settings.admitted(name)) != set(self.hosts[name].clients):
                yield f"hosts.{name}.clients: not deployed yet"
        if settings.served and not self.target:
            yield "target: not deployed yet"
        for name in settings.own_clients:
            client = self.clients.get(name)
            if client and not (client.namespace and client.secret and client.subject):
                yield f"clients.{name}: deployed without a cluster"
