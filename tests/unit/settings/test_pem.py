"""Blocks of PEM texts. tests/support/certificate_kinds.py has the layouts that Envoy reads."""

import pytest

from settings import pem
from settings.pem import Block

TEXT = "-----BEGIN FOO-----\nAAEC\n-----END FOO-----\n"


def test_blocks_are_found_between_further_text_and_written_anew() -> None:
    found = pem.blocks(f"before\n{TEXT}between\n{TEXT.replace('FOO', 'BAR')}after")
    assert found == [Block("FOO", b"\0\1\2"), Block("BAR", b"\0\1\2")]
    assert found[0].text == TEXT
    assert pem.blocks("no block") == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TEXT.replace("END FOO", "END BAR"), "a block FOO does not end with -----END FOO-----"),
        ("-----BEGIN FOO-----\nAAEC\n", "does not end"),
        (TEXT.replace("AAEC", "Proc-Type: 4,CLEAR\n\nAAEC"), "a header, an empty line, or a line of 253 characters"),
        (TEXT.replace("AAEC", "A" * 253), "a line of 253 characters"),
        (TEXT.replace("AAEC", "AAE"), "not in Base64"),
        (TEXT.replace("AAEC", "AA*C"), "not in Base64"),
    ],
)
def test_block_that_envoy_cannot_read_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pem.blocks(text)


def test_der_value_ends_where_its_length_says() -> None:
    long = b"\x30\x82\x01\x00" + b"a" * 256
    assert pem.der_value(b"\x30\x02ab" + b"more") == b"\x30\x02ab"
    assert pem.der_value(long + b"more") == long
