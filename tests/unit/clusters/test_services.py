"""Services that hosts lead to: their port, and the sidecars of their Pods."""

from typing import Any

import pytest

from clusters import Site
from tests.unit.clusters.served import (
    API_RULES,
    ORDERS,
    ORDERS_HOST,
    ORDERS_PODS,
    VIRTUAL_SERVICES,
    Check,
    claiming,
    kyma_modules,
    orders_pods,
    orders_service,
    problems,
    warnings,
    whole,
)
from tests.unit.fakes import Answer

OWNER = "0a1b"


OVER = orders_pods(("app",)) | {"items": [{**orders_pods(("app",))["items"][0], "status": {"phase": "Succeeded"}}]}
NO_SIDECAR = (
    "hosts.orders.service: cluster has no sidecars in Pods behind Service shop/orders: {}; label their namespace for "
    "injection, and restart them"
)


@pytest.mark.parametrize(
    ("found", "selected", "lines"),
    [
        (orders_service(80, 8080), {"items": []}, []),
        (orders_service(8080), orders_pods(("app", "istio-proxy"), ("app", "+istio-proxy")), []),
        (orders_service(8080), OVER, []),
        (orders_service(8080), orders_pods(("app",), deletionTimestamp="2026-11-24T00:00:00Z"), []),
        (
            orders_service(8080),
            orders_pods(("app", "istio-proxy"), ("app", "+istio-init")),
            [NO_SIDECAR.format("orders-1")],
        ),
        (
            orders_service(8080),
            orders_pods(*[("app",)] * 5),
            [NO_SIDECAR.format("orders-0, orders-1, orders-2 and 2 more")],
        ),
        (Answer(b"{}", 404), {}, ["hosts.orders.service: cluster has no Service shop/orders"]),
        (
            orders_service(8080, selector=None),
            {},
            ["hosts.orders.service: cluster has no Pods behind Service shop/orders, which has no selector"],
        ),
        (
            {"spec": {"type": "ExternalName"}},
            {},
            [
                "hosts.orders.service: cluster has Service shop/orders of type ExternalName, which leads out of the "
                "cluster",
                "hosts.orders.service.port: cluster has no such port in Service shop/orders; it has none",
            ],
        ),
        (
            orders_service(80, 443),
            orders_pods(("app",)),
            [
                NO_SIDECAR.format("orders-0"),
                "hosts.orders.service.port: cluster has no such port in Service shop/orders; it has 80, 443",
            ],
        ),
    ],
    ids=[
        "no-pods",
        "sidecars",
        "job-is-done",
        "goes-away",
        "one-without",
        "many-without",
        "no-service",
        "no-selector",
        "external-name",
        "both",
    ],
)
def test_service_needs_the_port_and_pods_with_sidecars(
    check: Check, found: Any, selected: Any, lines: list[str]
) -> None:
    target = whole("uid-1", **{ORDERS: found, ORDERS_PODS: selected})
    if lines:
        assert problems(check, target, whole("uid-2"), hosts={"orders": ORDERS_HOST}) == lines
    else:
        assert check(target, whole("uid-2"), hosts={"orders": ORDERS_HOST})


def route_to_orders(kind: str, owner: str = OWNER, port: int = 8080, **changed: Any) -> dict[str, Any]:
    """Return a cluster's lists with a stack's route to Service shop/orders."""
    to_rule = {"service": {"name": "orders", "namespace": "shop", "port": port}, "gateway": "mtls/gateway"}
    to_route = {"host": "orders.shop.svc.cluster.local", "port": {"number": port}}
    spec: Any = {API_RULES: to_rule, VIRTUAL_SERVICES: {"http": [{"route": [{"destination": to_route}]}]}}[kind]
    return claiming(kind, owner, "orders", **{"hosts": ["orders.example.com"], **spec, **changed})


@pytest.mark.parametrize("kind", [API_RULES, VIRTUAL_SERVICES])
def test_service_behind_a_deployed_route_is_a_warning_only(check: Check, kind: str) -> None:
    broken = {ORDERS: orders_service(8080), ORDERS_PODS: orders_pods(("app",))}

    def run(routed: dict[str, Any], owner: str | None = OWNER) -> list[Site]:
        return check(whole("uid-1", **broken, **routed), whole("uid-2"), owner=owner, hosts={"orders": ORDERS_HOST})

    (line,) = warnings(run(route_to_orders(kind)))
    assert "has no sidecars in Pods behind Service shop/orders: orders-0; " in line
    told = [NO_SIDECAR.format("orders-0")]
    assert problems(run, route_to_orders(kind, port=80)) == told, "another Service is to come"
    assert problems(run, route_to_orders(kind, hosts=["carts.example.com"])) == told, "another host's route"
    assert problems(run, {}) == told
    assert told[0] in problems(run, route_to_orders(kind, owner="another"))
    assert told[0] in problems(run, route_to_orders(kind), None)


SIDECAR = ("app", "istio-proxy")


def orders_target(port: dict[str, Any], *further: dict[str, Any], **pods: Any) -> dict[str, Any]:
    """Return a target with Service shop/orders, with these ports, and a Pod with a sidecar behind it."""
    service = orders_service(ports=[{"port": 8080} | port, *further])
    return whole("uid-1", **{ORDERS: service, ORDERS_PODS: orders_pods(SIDECAR, **pods)})


@pytest.mark.parametrize(
    ("port", "line"),
    [
        ({"protocol": "UDP"}, "has this port in Service shop/orders for UDP; a host needs one for TCP"),
        ({"protocol": "SCTP"}, "has this port in Service shop/orders for SCTP; a host needs one for TCP"),
        (
            {"name": "https-api"},
            "has TLS at this port of Service shop/orders, by its name or appProtocol (https-api); the gateway sends "
            "HTTP, which the sidecars encrypt: add a port that the server answers by HTTP",
        ),
    ],
)
def test_port_that_cannot_serve_http_is_refused(check: Check, port: dict[str, Any], line: str) -> None:
    found = problems(check, orders_target(port), whole("uid-2"), hosts={"orders": ORDERS_HOST})
    assert found == [f"hosts.orders.service.port: cluster {line}"]


def test_port_for_tcp_beside_one_for_udp_is_accepted(check: Check) -> None:
    target = orders_target({"protocol": "UDP"}, {"port": 8080, "protocol": "TCP"})
    assert check(target, whole("uid-2"), hosts={"orders": ORDERS_HOST})


def test_port_that_sidecars_leave_out_is_refused(check: Check) -> None:
    annotations = {"traffic.sidecar.istio.io/excludeInboundPorts": "8080"}
    target = orders_target({}, annotations=annotations)
    assert problems(check, target, whole("uid-2"), hosts={"orders": ORDERS_HOST}) == [
        "hosts.orders.service.port: cluster excludes this port of Service shop/orders from the sidecars of Pods "
        "orders-0, so that its requests would be plain text, of anybody; remove their annotations "
        "traffic.sidecar.istio.io/*InboundPorts and sidecar.istio.io/interceptionMode"
    ]


def test_port_that_cannot_work_is_a_warning_behind_a_deployed_route(check: Check) -> None:
    target = orders_target({"protocol": "UDP"}) | route_to_orders(VIRTUAL_SERVICES)
    (line,) = warnings(check(target, whole("uid-2"), owner=OWNER, hosts={"orders": ORDERS_HOST}))
    assert "for UDP" in line


def on_kyma(check: Check, target: dict[str, Any], istio: dict[str, Any] | None = None, **config: Any) -> list[Site]:
    """Check a target on platform kyma, with this spec of the Istio CR in both clusters."""
    kyma = kyma_modules(istio or {})
    config = {"platform": "kyma", "owner": OWNER, "hosts": {"orders": ORDERS_HOST}} | config
    return check(target | kyma, whole("uid-2") | kyma, **config)


HTTP = {"name": "http-api"}


@pytest.mark.parametrize("port", [{}, {"name": "web"}, {"name": "http", "appProtocol": "tcp"}])
def test_port_that_does_not_declare_http_is_refused_on_platform_kyma(check: Check, port: dict[str, Any]) -> None:
    (line,) = problems(lambda: on_kyma(check, orders_target(port)))
    assert line.startswith("hosts.orders.service.port: cluster does not declare HTTP for this port of Service shop/")
    assert line.endswith("name the port http, or set its appProtocol to http")
    assert check(orders_target(port), whole("uid-2"), hosts={"orders": ORDERS_HOST}), "on platform istio it works"


def test_callers_that_a_new_api_rule_will_refuse_are_a_warning(check: Check) -> None:
    (line,) = warnings(on_kyma(check, orders_target(HTTP)))
    assert "hosts.orders.service: " in line
    assert "will answer 403 to requests of its own Pods for Service shop/orders" in line
    assert warnings(on_kyma(check, orders_target(HTTP) | route_to_orders(API_RULES))) == [], "as it is already"
    assert warnings(check(orders_target(HTTP), whole("uid-2"), hosts={"orders": ORDERS_HOST})) == []


@pytest.mark.parametrize(
    ("spec", "labels", "refused"),
    [
        ({}, {}, False),
        ({"networkPoliciesEnabled": False}, {}, False),
        ({"networkPoliciesEnabled": True}, {}, True),
        ({"networkPoliciesEnabled": True}, {"networking.kyma-project.io/from-ingressgateway": "denied"}, True),
        ({"networkPoliciesEnabled": True}, {"networking.kyma-project.io/from-ingressgateway": "allowed"}, False),
    ],
)
def test_pods_need_a_label_where_kyma_makes_network_policies(
    check: Check, spec: dict[str, Any], labels: dict[str, str], refused: bool
) -> None:
    target = orders_target(HTTP, labels=labels)
    if not refused:
        assert on_kyma(check, target, spec)
        return
    (line,) = problems(lambda: on_kyma(check, target, spec))
    assert line.startswith("hosts.orders.service: cluster lets the ingress gateway reach Pods by label only")
    assert line.endswith("lack: orders-0; label them networking.kyma-project.io/from-ingressgateway: allowed")
    deployed = warnings(on_kyma(check, target | route_to_orders(API_RULES), spec))
    assert ["by label only" in each for each in deployed] == [True]
