"""Who gains or loses access between two configs, in sentences and as a picture."""

from typing import Any

import pytest
import yaml

from pipeline import connections
from pipeline.stack_file import StackFile
from settings import ConfigError
from tests.unit.pki import issue

CA = issue("acme CA").pem
WAREHOUSE, BILLING = {"context": "warehouse"}, {"context": "billing", "callers": ["invoices"]}
ACME = {"certificateAuthority": CA, "identity": "spiffe://acme.example/client"}
ORDERS = {"domain": "orders.example.com", "clients": ["warehouse"]}
API = {"domain": "api.partner.example", "clients": ["billing"], "external": {"certificateAuthority": CA}}
CLIENTS = {"warehouse": WAREHOUSE, "billing": BILLING}
BASE: dict[str, Any] = {"target": {"context": "target"}, "clients": CLIENTS, "hosts": {"orders": ORDERS}}
SECURE = {"secure": "v1:abc"}


def text_of(**config: Any) -> str:
    """Return a stack's file with this config."""
    return yaml.safe_dump({"config": {f"kyma-mtls:{key}": value for key, value in config.items()}})


def file_of(**changes: Any) -> StackFile:
    return StackFile.parse(text_of(**{**BASE, **changes}))


def hosts(**changes: Any) -> dict[str, Any]:
    return {"hosts": {"orders": {**ORDERS, **changes}}}


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
            ["Host `open` (`open.example.com`) is new and admits nobody."],
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
def test_change_is_told_in_a_sentence(before: dict[str, Any], after: dict[str, Any], sentences: list[str]) -> None:
    assert said(before, after) == sentences


def test_default_that_is_written_out_is_no_change() -> None:
    assert said({}, {**hosts(methods=["GET"], paths=["/*"]), "platform": "kyma", "generation": 1}) == []


def test_only_client_of_a_stack_is_admitted_without_being_named() -> None:
    alone = {"clients": {"warehouse": WAREHOUSE}}
    assert said({**alone, **hosts(clients=None)}, {**alone, **hosts()}) == []


def test_new_stack_is_told_as_a_whole() -> None:
    assert connections.sentences(None, file_of()) == [
        "Host `orders` (`orders.example.com`) is new and admits `warehouse`.",
        "Client `billing` is new and may call nothing.",
        "Client `warehouse` is new and may call `orders`.",
    ]


def test_secret_is_compared_and_not_needed() -> None:
    given = issue("billing", issue("CA"))
    credential = {"certificate": given.pem, "key": SECURE}
    external = {"certificateAuthority": CA, "credentials": {"billing": credential}}
    before, after = (
        {"hosts": {"orders": ORDERS, "api": {**API, "external": each}}}
        for each in (external, {**external, "credentials": {"billing": {**credential, "key": {"secure": "v1:def"}}}})
    )
    assert said(before, after) == ["The secret `hosts.api.external.credentials.billing.key` changes."]
    assert said(before, before) == []


def test_structure_that_is_encrypted_as_a_whole_is_refused_with_the_remedy() -> None:
    with pytest.raises(ConfigError, match=r"kyma-mtls:hosts: encrypted as a whole.* --path --secret"):
        file_of(hosts=SECURE)


@pytest.mark.parametrize("text", ["- a\n", "config: [", "config: text", "42"])
def test_file_that_is_not_of_a_stack_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="not the YAML file of a stack"):
        StackFile.parse(text)


def test_wrong_config_is_refused_by_the_rules_of_the_program() -> None:
    with pytest.raises(ConfigError, match=r"kyma-mtls:hosts\.orders\.clients\[0\]: 'nobody': no such client"):
        file_of(**hosts(clients=["nobody"]))


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


def test_picture_is_left_out_if_no_connection_changes() -> None:
    assert connections.picture(file_of().settings, file_of(**hosts(methods=["PUT"])).settings) == ""


def test_picture_of_many_connections_shows_those_that_change() -> None:
    many = {f"c{number}": {"context": f"c{number}"} for number in range(connections.MOST_EDGES + 1)}
    before = file_of(clients=many, **hosts(clients=[*many]))
    after = file_of(clients=many, **hosts(clients=[*many][1:]))
    assert connections.picture(before.settings, after.settings).count("->") == 1


def test_value_cannot_leave_its_code() -> None:
    assert said({}, {"targetImage": "a`<b>\n`@c"}) == [
        "`targetImage` changes from `docker.io/mccutchen/go-httpbin:v2.15.0` to `a'<b> '@c`."
    ]
