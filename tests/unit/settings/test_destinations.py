"""Destinations of closed namespaces, as the config writes them."""

from typing import Any

import pytest

from components.istio_gateway import Destination, Pods
from settings import destinations
from tests.unit.config import check_refusal, read


def config(*allowed: str, policy: str = "callers") -> dict[str, Any]:
    client = {"kubeconfig": "client.yaml", "callers": ["logistics"], "networkPolicy": policy}
    return {"clients": {"caller": client | {"allowedDestinations": allowed}}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("data", Destination((), pods=Pods("data", {}))),
        ("data:5432", Destination(((5432, "TCP"),), pods=Pods("data", {}))),
        ("192.0.2.0/24:443", Destination(((443, "TCP"),), ("192.0.2.0/24",))),
        ("192.0.2.7/32:65535", Destination(((65535, "TCP"),), ("192.0.2.7/32",))),
        ("2001:DB8::/32:443", Destination(((443, "TCP"),), ("2001:db8::/32",))),
    ],
)
def test_destination_is_a_namespace_or_a_cidr(text: str, expected: Destination) -> None:
    assert destinations.parse(text) == expected
    assert read(**config(text)).clients["caller"].allowed_destinations == (text,)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a destination: NAMESPACE, NAMESPACE:PORT or CIDR:PORT"),
        ("*", "not a destination"),
        ("data/postgres", "not a destination"),
        ("data:http", "not a destination"),
        ("192.0.2.0/24", "not a destination"),
        ("192.0.2.7:443", "not a destination"),
        ("data:0", "not a port"),
        ("data:65536", "not a port"),
        ("192.0.2.1/24:443", "not a CIDR: 192.0.2.1/24 has host bits set"),
        ("192.0.2.0/33:443", "not a CIDR"),
        ("0.0.0.0/0:443", "every address; leave networkPolicy at own"),
        ("::/0:443", "every address; leave networkPolicy at own"),
    ],
)
def test_destination_that_is_none_or_everything_is_refused(text: str, message: str) -> None:
    check_refusal("clients.caller.allowedDestinations[0]", message, **config(text))


def test_destinations_need_closed_namespaces() -> None:
    check_refusal("clients.caller.allowedDestinations", "needs networkPolicy callers", **config("data", policy="own"))
    check_refusal("clients.caller.allowedDestinations", "data is listed more than once", **config("data", "data"))
