"""The clusters of a stack: how the program reaches them, and which gateways and sidecars it uses there."""

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
        description="Path of the kubeconfig with the access to the cluster, relative to the project; empty for "
        "KUBECONFIG or ~/.kube/config"
    ),
]
Context = Annotated[str, Field(description="Context of the kubeconfig; empty for its current context")]
GatewayPassthrough = Annotated[
    bool,
    Field(
        description="Whether Gateways outside the stack may pass TLS or TCP undecrypted through the Istio gateway that "
        "the stack uses; with false, the stack refuses such a cluster"
    ),
]
Revision = Annotated[
    OptionalLabel,
    Field(
        description="Revision or tag of the Istio that injects the sidecars; empty for the one that injects by the "
        "label istio-injection: enabled"
    ),
]


class TargetCluster(Section):
    """The cluster that serves."""

    kubeconfig: Kubeconfig = ""
    context: Context = ""
    ingress_gateway: ServiceName = Field(
        default=INGRESS_GATEWAY,
        description="Service of the Istio ingress gateway that serves the hosts, NAMESPACE/NAME; platform kyma takes "
        "the default only",
    )
    revision: Revision = ""
    gateway_passthrough: GatewayPassthrough = False


class ClusterAccess(BaseModel):
    """How to reach one cluster.

    path: of the cluster in the config: target, or clients.NAME
    kubeconfig: path of the kubeconfig; empty for KUBECONFIG or ~/.kube/config
    context: of the kubeconfig; empty for its current context
    """

    model_config = ConfigDict(frozen=True)

    path: str
    kubeconfig: str
    context: str

    @property
    def key(self) -> str:
        """The config path that chose the cluster."""
        return f"{self.path}.context" if self.context else f"{self.path}.kubeconfig"
