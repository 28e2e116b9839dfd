"""Where the objects of a Kyma gateway are: under the documented names, or under names of the stack's own."""

from dataclasses import dataclass
from typing import Any

import pulumi

from ..istio_gateway import IstioGateway
from ..objects import in_gateway_namespace


@dataclass(frozen=True)
class Places:
    """Namespaces of the gateway's objects, and the ingress gateway that reads its Secrets.

    system: namespace of the gateway and the apiserver-proxy: kyma-system, or the stack's own
    installer: namespace of the installer's overrides: kyma-installer, or the stack's own
    ingress: the ingress gateway
    suffix: ends the names of objects in the ingress gateway's namespace, which several stacks may share; empty for the
        documented names
    """

    system: pulumi.Input[str]
    installer: pulumi.Input[str]
    ingress: IstioGateway
    suffix: pulumi.Input[str] = ""

    def in_system(self, name: str) -> dict[str, Any]:
        """Return the metadata of an object in kyma-system, or in the stack's own namespace."""
        return {"name": name, "namespace": self.system}

    def in_installer(self, name: str) -> dict[str, Any]:
        """Return the metadata of an object in kyma-installer, or in the stack's own namespace."""
        return {"name": name, "namespace": self.installer}

    def in_ingress(self, name: str, ending: str = "") -> dict[str, Any]:
        """Return the metadata of an object in the ingress gateway's namespace, whose name ends in `ending`."""
        return in_gateway_namespace(self.ingress, pulumi.Output.concat(name, self.suffix, ending))
