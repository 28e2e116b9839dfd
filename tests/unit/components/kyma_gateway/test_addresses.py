"""Addresses of load balancers, as DNS and Gardener write them."""

import pytest

from components.kyma_gateway.addresses import demo_domain, ip_stack


def test_demo_domain_of_an_ipv6_address_is_exploded() -> None:
    assert demo_domain("2001:db8::7") == "2001-0db8-0000-0000-0000-0000-0000-0007.sslip.io"


@pytest.mark.parametrize(
    ("families", "named"), [(["IPv4"], "ipv4"), (["IPv6"], "ipv6"), (["IPv6", "IPv4"], "dual-stack"), ([], "ipv4")]
)
def test_ip_families_are_named_as_gardener_does(families: list[str], named: str) -> None:
    assert ip_stack(families) == named
