"""Who gains or loses access between two configs, in sentences and as a picture."""

from typing import Any

import pytest

from pipeline import connections
from tests.unit.pipeline.stack_files import (
    ACME,
    API,
    BILLING,
    CA,
    CLIENTS,
    ORDERS,
    SECURE,
    WAREHOUSE,
    file_of,
    hosts,
)
from tests.unit.pki import issue


def said(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    return connections.sentences(file_of(**before), file_of(**after))


@pytest.mark.parametrize(
    ("before", "after", "sentences"),
    [
        ({}, {}, []),
        ({}, hosts(clients=["warehouse", "billing"]), ["`orders` now admits `billing`."]),
        (hosts(clients=["warehouse", "billing"]), {}, ["`billing` can no longer call `orders`."]),
        (
            {},
            hosts(clients=["billing"]),
            ["`orders` now admits `billing`.", "`warehouse` can no longer call `orders`."],
        ),
        (
            {},
            {"hosts": {"orders": ORDERS, "api": API}},
            ["Host `api` (`api.partner.example`), a partner's, is new and admits `billing`."],
        ),
        (
            {"hosts": {"orders": ORDERS, "api": API}},
            {},
            ["Host `api` is removed: `billing` can no longer call it."],
        ),
        (
            {},
            {"hosts": {"orders": ORDERS, "open": {"domain": "open.example.com", "clients": []}}},
            ["Host `open` (`open.example.com`) is new and admits no client."],
        ),
        (
            {},
            {"clients": {**CLIENTS, "acme": ACME}, **hosts(clients=["warehouse", "acme"])},
            ["Client `acme`, a partner's (`spiffe://acme.example/client`), is new and may call `orders`."],
        ),
        (
            hosts(clients=["warehouse", "billing"]),
            {"clients": {"warehouse": WAREHOUSE}},
            ["Client `billing` is removed: it can no longer call `orders`."],
        ),
        ({}, hosts(methods=["GET", "POST"]), ["`hosts.orders.methods` gains `POST`."]),
        ({}, hosts(paths=["/orders/*"]), ["`hosts.orders.paths` gains `/orders/*` and loses `/*`."]),
        (
            {},
            {"clients": {"warehouse": WAREHOUSE, "billing": {**BILLING, "callers": ["invoices", "shop/till"]}}},
            ["`clients.billing.callers` gains `shop/till`."],
        ),
        (
            {},
            hosts(domain="orders.example.org"),
            ["`hosts.orders.domain` changes from `orders.example.com` to `orders.example.org`."],
        ),
        (
            {},
            hosts(service={"namespace": "shop", "name": "orders", "port": 80}),
            [
                "`hosts.orders.service.name` is now `orders`.",
                "`hosts.orders.service.namespace` is now `shop`.",
                "`hosts.orders.service.port` is now `80`.",
            ],
        ),
        ({}, {"generation": "2"}, ["`generation` changes from `1` to `2`."]),
        ({"namespace": "a"}, {}, ["`namespace` is no longer set."]),
        (
            {},
            {"gatewayMode": "own", "gatewayKey": SECURE},
            ["`gatewayMode` is now `own`.", "The secret `gatewayKey` changes."],
        ),
        (
            {"clients": {**CLIENTS, "acme": ACME}},
            {"clients": {**CLIENTS, "acme": {**ACME, "certificateAuthority": issue("next").pem}}},
            ["`clients.acme.certificateAuthority` changes."],
        ),
    ],
)
def test_change_is_described_in_a_sentence(before: dict[str, Any], after: dict[str, Any], sentences: list[str]) -> None:
    assert said(before, after) == sentences


def test_explicit_default_is_no_change() -> None:
    assert said({}, {**hosts(methods=["GET"], paths=["/*"]), "platform": "kyma", "generation": 1}) == []


def test_only_client_of_a_stack_is_admitted_by_default() -> None:
    alone = {"clients": {"warehouse": WAREHOUSE}}
    assert said({**alone, **hosts(clients=None)}, {**alone, **hosts()}) == []


def test_new_stack_is_described_completely() -> None:
    assert connections.sentences(None, file_of()) == [
        "Host `orders` (`orders.example.com`) is new and admits `warehouse`.",
        "Client `billing` is new and may call no host.",
        "Client `warehouse` is new and may call `orders`.",
    ]


def test_secret_is_compared_without_its_key() -> None:
    given = issue("billing", issue("CA"))
    credential = {"certificate": given.pem, "key": SECURE}
    external = {"certificateAuthority": CA, "credentials": {"billing": credential}}
    before, after = (
        {"hosts": {"orders": ORDERS, "api": {**API, "external": each}}}
        for each in (external, {**external, "credentials": {"billing": {**credential, "key": {"secure": "v1:def"}}}})
    )
    assert said(before, after) == ["The secret `hosts.api.external.credentials.billing.key` changes."]
    assert said(before, before) == []


def test_picture_shows_what_stays_comes_and_goes() -> None:
    before = file_of(hosts={"orders": {**ORDERS, "clients": ["warehouse", "billing"]}})
    after = file_of(hosts={"orders": ORDERS, "api": API})
    assert connections.picture(before.settings, after.settings).splitlines() == [
        "graph LR",
        '  c0["billing"]',
        '  c1["warehouse"]',
        '  h0["api<br/>api.partner.example"]',
        '  h1["orders<br/>orders.example.com"]',
        "  c0 == gains ==> h0",
        "  linkStyle 0 stroke:#1a7f37",
        "  c0 -. loses .-> h1",
        "  linkStyle 1 stroke:#cf222e",
        "  c1 --> h1",
    ]


def test_picture_names_a_removed_host_without_its_domain() -> None:
    before = file_of(hosts={"orders": ORDERS, "api": API})
    assert '  h0["api"]' in connections.picture(before.settings, file_of().settings).splitlines()


def test_picture_is_left_out_if_no_connection_changes() -> None:
    assert connections.picture(file_of().settings, file_of(**hosts(methods=["PUT"])).settings) == ""


def test_picture_of_many_connections_shows_those_that_change() -> None:
    many = {f"c{number}": {"context": f"c{number}"} for number in range(connections.MOST_EDGES + 1)}
    before = file_of(clients=many, **hosts(clients=[*many]))
    after = file_of(clients=many, **hosts(clients=[*many][1:]))
    assert connections.picture(before.settings, after.settings).count("->") == 1


def test_value_cannot_end_its_inline_code() -> None:
    assert said({}, {"targetImage": "a`<b>\n`@c"}) == [
        "`targetImage` changes from `docker.io/mccutchen/go-httpbin:v2.15.0` to `a'<b> '@c`."
    ]
