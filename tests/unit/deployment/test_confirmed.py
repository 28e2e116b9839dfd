"""Waits for the gateways, at the end of what an update makes."""

from typing import Any

import pytest

from tests.unit.deployment.program import A_PARTNER, CALLER, EXTERNAL, HTTPBIN, ORDERS, SIGNED, TARGET, Stack

HOSTS: dict[str, Any] = {
    "httpbin": {**HTTPBIN, "clients": ["caller", "acme"]},
    "orders": {**ORDERS, "clients": ["acme"]},
}
PARTNERS = {"domain": "api.partner.example", "external": {**EXTERNAL, "credentials": SIGNED}}
CLIENTS = {"caller": CALLER, "acme": A_PARTNER}


def test_each_host_and_each_route_is_confirmed_with_all_of_its_objects(stack: Stack) -> None:
    made = stack(target=TARGET, clients=CLIENTS, hosts=HOSTS)
    waits = {name.removeprefix("Stash ") for name in made.names() if name.startswith("Stash ")}
    assert waits >= {
        "target-httpbin-gateway-ready",
        "target-orders-gateway-ready",
        "client-caller.httpbin-gateway-ready",
    }
    assert "client-caller.orders-gateway-ready" not in waits
    waited = made.one("Stash", "target-orders-gateway-ready")["input"]
    assert waited["called"] == "hosts.orders"
    assert [each["kind"] for each in waited["items"]] == ["Secret", "AuthorizationPolicy", "Gateway", "VirtualService"]
    waited = made.one("Stash", "client-caller.httpbin-gateway-ready")["input"]
    assert waited["called"] == "hosts.httpbin"
    assert {each["kind"] for each in waited["items"]} >= {"AuthorizationPolicy", "Gateway", "DestinationRule"}


def test_wait_changes_with_every_object_and_asks_no_gateway_in_previews(stack: Stack) -> None:
    before = stack(target=TARGET, clients=CLIENTS, hosts=HOSTS)
    metadata = {"name": "x", "namespace": "mtls", "uid": "1", "generation": 2}
    after = stack(target=TARGET, clients=CLIENTS, hosts=HOSTS, made={"AuthorizationPolicy": {"metadata": metadata}})
    for name in ("target-orders-gateway-ready", "client-caller.httpbin-gateway-ready"):
        assert before.one("Stash", name) != after.one("Stash", name)
    hook = before.hooks["target-target-orders-gateway-ready"]
    assert not (hook.opts and hook.opts.on_dry_run)
    request = before.request("Stash", "target-orders-gateway-ready")
    assert (
        list(request.hooks.before_create) == list(request.hooks.before_update) == ["target-target-orders-gateway-ready"]
    )
    assert not list(request.hooks.before_delete)


@pytest.mark.parametrize(
    ("hosts", "host"), [({"httpbin": HTTPBIN}, "httpbin"), ({"api": PARTNERS}, "api")], ids=["own", "partners"]
)
def test_routes_wait_for_the_credential_that_they_use_and_for_no_other(
    stack: Stack, hosts: dict[str, Any], host: str
) -> None:
    made = stack(target=TARGET if host == "httpbin" else None, clients={"billing": CALLER}, hosts=hosts)
    rule = made.marked_one("DestinationRule", f"client-billing.{host}-originate-mtls")["spec"]
    waited = made.one("Stash", f"client-billing.{host}-gateway-ready")["input"]
    used = rule["trafficPolicy"]["portLevelSettings"][0]["tls"]["credentialName"]
    assert [each["name"] for each in waited["items"] if each["kind"] == "Secret"] == [used]
    assert not {"Namespace", "NetworkPolicy"} & {each["kind"] for each in waited["items"]}


def test_wait_comes_after_the_host_and_its_own_waits(stack: Stack) -> None:
    made = stack(platform="kyma", target=TARGET, clients={"caller": CALLER}, hosts={"orders": ORDERS})
    after = made.request("Stash", "target-orders-gateway-ready").dependencies
    assert any(urn.endswith("::target-orders-route-ready") for urn in after), "Kyma has the route first"
