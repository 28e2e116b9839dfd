"""Claims to the wildcard domain of the Kyma gateway, and the users of the gateway that a stack gives back.

Of two Gateways that serve one host on one port, Istio uses the older one
(https://istio.io/latest/docs/reference/config/networking/gateway/).
"""

from collections.abc import Iterator
from ipaddress import ip_address

from clusters.cluster import Cluster
from clusters.gateway_hooks import API_GATEWAY, MODULE
from clusters.routes import Route, routes
from components.istio_gateway import IstioGateway
from components.kyma_gateway.addresses import demo_domain
from components.ownership import Owner, is_owned
from settings import ConfigError, Platform, Settings
from settings.gateway import GatewayMode

OPERATORS_GATEWAY = "kyma-system/kyma-gateway"
"""The Gateway that Kyma's operator makes, and that a stack takes over."""


def of_domain(settings: Settings, target: Cluster, gateway: IstioGateway, domain: str, owner: Owner) -> tuple[str, ...]:
    """Return a warning if another Gateway serves `*.DOMAIN` as the stack's own does already.

    gateway: the ingress gateway
    domain: of the Kyma gateway; empty for the one that its address gives

    Raise ConfigError for such a Gateway while the stack has none. The one of Kyma's operator is judged by
    kyma_gateway_facts.
    """
    if settings.gateway.mode == GatewayMode.NONE:
        return ()
    wanted = f"*.{domain or _of_address(gateway.address)}"
    serving = [each for each in routes(target, "Gateway") if _serves(each, wanted, gateway)]
    claims = [str(each) for each in serving if not owner.owns(each.metadata) and not _is_operators(each)]
    if not claims:
        return ()
    problem = target.problem(
        f"serves {wanted} by {', '.join(sorted(claims))} already; choose another domain, or remove it there",
        "gatewayDomain",
    )
    if any(owner.owns(each.metadata) for each in serving):
        return (str(problem),)
    raise problem


def of_given_back(settings: Settings, target: Cluster, owner: Owner) -> tuple[str, ...]:
    """Return a warning that names the users of the gateway that the stack is about to give back to Kyma's operator."""
    gives_nothing = settings.gateway.take_over and settings.gateway.mode != GatewayMode.NONE
    if owner.mark is None or settings.platform != Platform.KYMA or gives_nothing:
        return ()
    try:
        module = target.read(API_GATEWAY)
    except ConfigError:  # a user without this right has no take-over to end
        return ()
    if not module or not owner.owns(module["metadata"]) or not (using := sorted(users(target))):
        return ()
    problem = (
        f"gives {OPERATORS_GATEWAY} back to Kyma's operator, with the operator's domain and certificate, while "
        f"{', '.join(using)} use it; move them first, or tell who runs them"
    )
    return (str(target.problem(problem, "gatewayTakeOver")),)


def _of_address(address: str) -> str:
    try:
        return demo_domain(str(ip_address(address)))
    except ValueError:
        return ""


def _is_operators(route: Route) -> bool:
    return str(route.place) == OPERATORS_GATEWAY and not is_owned(route.metadata)


def _serves(route: Route, host: str, gateway: IstioGateway) -> bool:
    return route.selects(gateway.labels) and host in route.served(gateway.server_ports)


def users(target: Cluster) -> Iterator[str]:
    """Yield the objects that refer to the operator's gateway, except those of the operator and of its APIRules.

    The operator itself keeps its gateway for APIRules of all versions, and for VirtualServices that name it as
    NAMESPACE/NAME (kyma-project/api-gateway, internal/reconciliations/gateway/deletions.go).
    """
    for kind in ("APIRule", "VirtualService"):
        for route in routes(target, kind):
            is_operators = MODULE in route.labels.items() or route.api_rule
            if OPERATORS_GATEWAY in route.gateways and not is_operators:
                yield str(route)
