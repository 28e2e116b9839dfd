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
