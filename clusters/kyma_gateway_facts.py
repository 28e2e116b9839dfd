"""Where the Kyma gateway can go in the target cluster, beside the one that Kyma's operator makes.

The operator of the API Gateway module owns Gateway kyma-system/kyma-gateway while `enableKymaGateway` of its APIGateway
is true.
"""

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

from clusters import vacancy
from clusters.cluster import Cluster
from clusters.facts import KymaGatewayFacts
from clusters.gateway_hooks import API_GATEWAY, MODULE
from clusters.routes import routes
from components.ownership import OWNER_LABEL
from settings import Platform, Settings
from settings.gateway import GatewayMode

_CERTIFICATES = ("cert.gardener.cloud", "has no Gardener certificate management; set gatewayMode to another one")
_DNS = ("dns.gardener.cloud", "has no Gardener DNS management; set gatewayMode to another one")
_DEFAULT_GATEWAY = "/apis/networking.istio.io/v1/namespaces/kyma-system/gateways/kyma-gateway"


def find(settings: Settings, target: Cluster, address: str, owner: str | None) -> KymaGatewayFacts | None:
    """Look where the gateway can go, if there is to be one; raise ConfigError if it would be in another one's way.

    address: of the ingress gateway; empty while it has none
    owner: the stack's mark; None if it has deployed nothing yet
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
        return KymaGatewayFacts(domain)
    operator = settings.platform == Platform.KYMA and _has_to_give_up(target, owner)
    needed = ("kyma-system", *(("kyma-installer",) if wanted.legacy_installer else ()))
    found = {name: target.read(f"/api/v1/namespaces/{name}") for name in needed}
    namespaces = tuple(name for name, it in found.items() if not it or _is_a_stacks(it))
    if not operator:
        return KymaGatewayFacts(domain, namespaces)
    left = vacancy.leftover(target)
    return KymaGatewayFacts(domain, namespaces, operator, vacancy.to_be_released(target, left), left)


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


def _has_to_give_up(target: Cluster, owner: str | None) -> bool:
    module = target.read(API_GATEWAY)
    if not module:
        return False
    if holder := module["metadata"].get("labels", {}).get(OWNER_LABEL):
        if holder != owner:
            remedy = "set this to false here, or release it there first"
            raise target.problem(
                f"has its default gateway taken over by another stack already; {remedy}", "gatewayTakeOver"
            )
        return True
    if not module.get("spec", {}).get("enableKymaGateway"):
        return False
    users = list(_users(target))
    if users:
        raise target.problem(f"uses kyma-system/kyma-gateway in {', '.join(users)}; move them first", "gatewayTakeOver")
    return True


def _users(target: Cluster) -> Iterator[str]:
    """Yield what refers to the operator's gateway, except the objects of the operator and of its APIRules.

    The operator itself looks for rules of all versions, and for VirtualServices that name it as NAMESPACE/NAME.
    """
    for kind in ("APIRule", "VirtualService"):
        for route in routes(target, kind):
            is_operators = MODULE in route.labels.items() or route.api_rule
            if "kyma-system/kyma-gateway" in route.gateways and not is_operators:
                yield str(route)


def _served(gateway: Any) -> list[str]:
    return [host for server in (gateway.get("spec") or {}).get("servers", []) for host in server["hosts"]]


def _is_a_stacks(found: Any) -> bool:
    return OWNER_LABEL in found["metadata"].get("labels", {})
