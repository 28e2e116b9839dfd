"""How the stack reaches its clusters."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from components.istio_gateway import DOCUMENTED_EGRESS, DOCUMENTED_INGRESS
from settings.section import Section
from settings.values import OptionalLabel, ServiceName

INGRESS_GATEWAY = DOCUMENTED_INGRESS.name
EGRESS_GATEWAY = DOCUMENTED_EGRESS.name

Kubeconfig = Annotated[
    str,
    Field(
        description="Reads the access to the cluster from this kubeconfig, a path relative to the project; empty for "
        "KUBECONFIG or ~/.kube/config"
    ),
]
Context = Annotated[str, Field(description="Uses this context of the kubeconfig; empty for its current context")]
GatewayPassthrough = Annotated[
    bool,
    Field(
        description="Accepts that Gateways of others pass TLS or TCP undecrypted through the Istio gateway that the "
        "stack uses; false refuses such a cluster"
    ),
]
Revision = Annotated[
    OptionalLabel,
    Field(
        description="Has the sidecars injected by this revision or tag of Istio; empty for the one that looks for "
        "istio-injection: enabled"
    ),
]


class TargetCluster(Section):
    """The cluster that serves."""

    kubeconfig: Kubeconfig = ""
    context: Context = ""
    ingress_gateway: ServiceName = Field(
        default=INGRESS_GATEWAY,
        description="Serves the hosts by the Istio ingress gateway behind this Service, NAMESPACE/NAME; another than "
        "the default needs platform istio",
    )
    revision: Revision = ""
    gateway_passthrough: GatewayPassthrough = False


class ClusterAccess(BaseModel):
    """How to reach one cluster. `path` is its place in the config: target, or clients.NAME."""

    model_config = ConfigDict(frozen=True)

    path: str
    kubeconfig: str
    context: str

    @property
    def key(self) -> str:
        """The config path that chose the cluster."""
        return f"{self.path}.context" if self.context else f"{self.path}.kubeconfig"
