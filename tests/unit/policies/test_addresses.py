"""Shares of the public addresses."""

from typing import Any

import pytest

from policies.mtls_policies.addresses import covered, public_shares


@pytest.mark.parametrize(
    ("cidr", "version", "share"),
    [
        ("0.0.0.0/0", 4, 1),
        ("::/0", 6, 1),
        ("2000::/4", 6, 0.5),
        ("10.0.0.0/8", 4, 0),
        ("224.0.0.0/4", 4, 0),
        ("fe80::/10", 6, 0),
        ("8.0.0.0/8", 4, 2**24 / 3_702_259_712),
    ],
)
def test_share_counts_public_addresses_only(cidr: str, version: int, share: float) -> None:
    assert public_shares(covered({"cidr": cidr})) == {4: 0, 6: 0} | {version: share}


def test_addresses_in_several_blocks_count_once() -> None:
    blocks: list[dict[str, Any]] = [
        {"cidr": "8.0.0.0/8"},
        {"cidr": "8.0.0.0/9"},
        {"cidr": "8.128.0.0/9", "except": ["8.192.0.0/10"]},
    ]
    networks = [network for block in blocks for network in covered(block)]
    assert public_shares(networks) == public_shares(covered({"cidr": "8.0.0.0/8"}))


@pytest.mark.parametrize("excepted", ["0.0.0.0/0", "8.0.0.0/7"])
def test_exception_around_a_block_leaves_nothing(excepted: str) -> None:
    assert not list(covered({"cidr": "8.0.0.0/8", "except": [excepted, "8.1.0.0/16"]}))


def test_exception_elsewhere_leaves_all() -> None:
    assert list(map(str, covered({"cidr": "8.0.0.0/8", "except": ["9.0.0.0/8", "::/0"]}))) == ["8.0.0.0/8"]
