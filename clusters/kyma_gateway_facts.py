"""Checks of the target for a Kyma gateway: its domain, and the gateway that Kyma's operator makes.

The operator of the API Gateway module owns Gateway kyma-system/kyma-gateway while `enableKymaGateway` of its APIGateway
is true (kyma-project/api-gateway, internal/reconciliations/gateway).
"""

from ipaddress import ip_address
from typing import Any

from clusters import kyma_gateway_claims, release
from clusters.cluster import Cluster
from clusters.facts import KymaGatewayFacts
from clusters.gateway_hooks import API_GATEWAY
from components.namespaced_name import NamespacedName
from components.ownership import Owner, Ownership, is_owned
from settings import Platform, Settings
from settings.gateway import GatewayMode

_CERTIFICATES = ("cert.gardener.cloud", "has no Gardener certificate management; set another gatewayMode")
_DNS = ("dns.gardener.cloud", "has no Gardener DNS management; set another gatewayMode")
_OPERATORS_GATEWAY = NamespacedName("kyma-system", "kyma-gateway")
_GATEWAYS_PATH = f"/apis/networking.istio.io/v1/namespaces/{_OPERATORS_GATEWAY.namespace}/gateways"


def find(settings: Settings, target: Cluster, address: str, owner: Owner) -> KymaGatewayFacts | None:
    """Return the facts for the Kyma gateway; None if the config asks for none.

    address: of the ingress gateway; empty while it has none

    Raise ConfigError if the cluster lacks what the mode needs, or if another gateway serves the domain, or is used.
    """
    wanted = settings.gateway
    if wanted.mode == GatewayMode.NONE:
        return None
    if wanted.mode == GatewayMode.GARDENER:
        target.check_apis(_CERTIFICATES, _DNS)
        if not address:
            raise target.problem("has no address yet for a DNS entry", "target.ingressGateway")
    domain = wanted.domain or _domain(target, wanted.mode, address)
    if not wanted.take_over:
        _check_domain(target, domain)
        return KymaGatewayFacts(domain)
    operator = settings.platform == Platform.KYMA and _releases_gateway(target, owner)
    needed = ("kyma-system", *(("kyma-installer",) if wanted.legacy_installer else ()))
    found = {name: target.read(f"/api/v1/namespaces/{name}") for name in needed}
    own_namespaces = tuple(name for name, it in found.items() if not it or is_owned(it["metadata"]))
    if not operator:
        return KymaGatewayFacts(domain, own_namespaces)
    leftover = release.leftover_secret(target)
    return KymaGatewayFacts(domain, own_namespaces, operator, release.to_be_released(target, leftover), leftover)


def _check_domain(target: Cluster, domain: str) -> None:
    """Raise ConfigError if Gateway kyma-system/kyma-gateway serves the domain, or will once it is given back."""
    found = target.read(f"{_GATEWAYS_PATH}/{_OPERATORS_GATEWAY.name}")
    if not found:
        return
    if not is_owned(found["metadata"]) and f"*.{domain}" in _served(found):
        raise target.problem(f"serves *.{domain} by {_OPERATORS_GATEWAY} already", "gatewayDomain")
    if domain and is_owned(found["metadata"]) and domain == _operators_domain(target):
        raise target.problem(f"serves *.{domain} by {_OPERATORS_GATEWAY} once it is given back", "gatewayDomain")


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
    """Return the domain of the gateway that Kyma's operator makes; empty if the cluster has no such operator."""
    return (_shoots_domain(target) or "local.kyma.dev") if target.read(API_GATEWAY) else ""


def _releases_gateway(target: Cluster, owner: Owner) -> bool:
    """Return whether Kyma's operator has a gateway to release, or has released it to this stack.

    Raise ConfigError if another stack has taken it over, or if objects use it.
    """
    module = target.read(API_GATEWAY)
    if not module:
        return False
    match owner.ownership(module["metadata"]):
        case Ownership.OWN:
            return True
        case Ownership.ANOTHER_STACK:
            remedy = "set this to false here, or release it there first"
            raise target.problem(
                f"has its default gateway taken over by another stack already; {remedy}", "gatewayTakeOver"
            )
    if not module.get("spec", {}).get("enableKymaGateway"):
        return False
    if using := list(kyma_gateway_claims.users(target)):
        raise target.problem(f"uses {_OPERATORS_GATEWAY} in {', '.join(using)}; move them first", "gatewayTakeOver")
    return True


def _served(gateway: Any) -> list[str]:
    return [host for server in (gateway.get("spec") or {}).get("servers", []) for host in server["hosts"]]
