"""Where the Kyma gateway can go in the target cluster, beside the one that Kyma's operator makes.

The operator of the API Gateway module owns Gateway kyma-system/kyma-gateway while `enableKymaGateway` of its APIGateway
is true.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from clusters import vacancy
from clusters.cluster import Cluster
from clusters.gateway_hooks import API_GATEWAY
from components.lifecycle import OWNER
from settings import Platform, Settings
from settings.gateway import GatewayMode

_CERTIFICATES = ("cert.gardener.cloud", "has no Gardener certificate management; set gatewayMode to another one")
_DNS = ("dns.gardener.cloud", "has no Gardener DNS management; set gatewayMode to another one")
_DEFAULT_GATEWAY = "/apis/networking.istio.io/v1/namespaces/kyma-system/gateways/kyma-gateway"


@dataclass(frozen=True)
class GatewaySite:
    """What the gateway finds.

    domain: configured, or that of the Gardener shoot; empty if it is to be derived from the ingress gateway's address
    namespaces: of those that a take-over needs, the ones that the stack makes, or made before
    operator: whether Kyma's operator has to give up its gateway to the stack, or did before
    occupied: what the operator gives up for that, each KIND NAMESPACE/NAME
    leftover: uid of a Secret that is left behind then
    """

    domain: str
    namespaces: tuple[str, ...] = ()
    operator: bool = False
    occupied: tuple[str, ...] = ()
    leftover: str = ""


def find(settings: Settings, target: Cluster, address: str) -> GatewaySite | None:
    """Look where the gateway can go, if there is to be one; raise ConfigError if it would be in another one's way.

    address: of the ingress gateway; empty while it has none
    """
    wanted = settings.gateway
    if wanted.mode == GatewayMode.NONE:
        return None
    if wanted.mode == GatewayMode.GARDENER:
        target.check_apis(_CERTIFICATES, _DNS)
        if not address:
            raise target.problem("has no address yet that a DNS entry could lead to", "target.ingressGateway")
    domain = wanted.domain or _domain(target, wanted.mode, address)
    if not wanted.take_over:
        default = target.read(_DEFAULT_GATEWAY)
        if default and not _is_a_stacks(default) and f"*.{domain}" in _served(default):
            raise target.problem(f"serves *.{domain} by kyma-system/kyma-gateway already", "gatewayDomain")
        if domain and default and _is_a_stacks(default) and domain == _operators_domain(target):
            raise target.problem(
                f"serves *.{domain} by kyma-system/kyma-gateway once it is given back", "gatewayDomain"
            )
        return GatewaySite(domain)
    operator = settings.platform == Platform.KYMA and _has_to_give_up(target)
    needed = ("kyma-system", *(("kyma-installer",) if wanted.legacy_installer else ()))
    found = {name: target.read(f"/api/v1/namespaces/{name}") for name in needed}
    namespaces = tuple(name for name, it in found.items() if not it or _is_a_stacks(it))
    if not operator:
        return GatewaySite(domain, namespaces)
    return GatewaySite(domain, namespaces, operator, vacancy.occupied(target), vacancy.leftover(target))


def _domain(target: Cluster, mode: GatewayMode, address: str) -> str:
    if mode == GatewayMode.GARDENER:
        if domain := _shoots_domain(target):
            return domain
        raise target.problem("has no domain in ConfigMap kube-system/shoot-info; set one", "gatewayDomain")
    try:
        ip_address(address)
    except ValueError:
        raise target.problem(
            f"reaches its ingress gateway by {address or 'no address'}; set a domain", "gatewayDomain"
        ) from None
    return ""


def _shoots_domain(target: Cluster) -> str:
    shoot = target.read("/api/v1/namespaces/kube-system/configmaps/shoot-info") or {}
    return str((shoot.get("data") or {}).get("domain", ""))


def _operators_domain(target: Cluster) -> str:
    """Return the domain of the gateway that Kyma's operator makes; empty if it is not there."""
    return (_shoots_domain(target) or "local.kyma.dev") if target.read(API_GATEWAY) else ""


def _has_to_give_up(target: Cluster) -> bool:
    module = target.read(API_GATEWAY)
    if not module or _is_a_stacks(module):
        return module is not None
    if not module.get("spec", {}).get("enableKymaGateway"):
        return False
    users = list(_users(target))
    if users:
        raise target.problem(f"uses kyma-system/kyma-gateway in {', '.join(users)}; move them first", "gatewayTakeOver")
    return True


def _users(target: Cluster) -> Iterator[str]:
    """What refers to the operator's gateway, the operator's own objects aside."""
    for group, plural in (("gateway.kyma-project.io/v2", "apirules"), ("networking.istio.io/v1", "virtualservices")):
        for item in target.items(f"/apis/{group}/{plural}"):
            gateways, metadata = (item["spec"].get("gateway"), *item["spec"].get("gateways", [])), item["metadata"]
            is_operators = metadata.get("labels", {}).get("kyma-project.io/module") == "api-gateway"
            if "kyma-system/kyma-gateway" in gateways and not is_operators:
                yield f"{plural} {metadata['namespace']}/{metadata['name']}"


def _served(gateway: Any) -> list[str]:
    return [host for server in gateway["spec"]["servers"] for host in server["hosts"]]


def _is_a_stacks(found: Any) -> bool:
    return OWNER in found["metadata"].get("labels", {})
