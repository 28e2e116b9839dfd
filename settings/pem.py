"""PEM texts as Envoy reads them: by BoringSSL's PEM_read_bio (crypto/pem/pem_lib.cc)."""

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass

_BEGIN = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----")
_TRIMMED = "".join(map(chr, range(33)))
_BUFFER = 253  # characters that it reads at a time: a line of as many is followed by an empty one


@dataclass(frozen=True)
class Block:
    """The label and the content of a block."""

    label: str
    content: bytes

    @property
    def text(self) -> str:
        """The block as PEM with lines of 64 characters."""
        encoded = base64.b64encode(self.content).decode()
        lines = [encoded[start : start + 64] for start in range(0, len(encoded), 64)]
        return "\n".join((f"-----BEGIN {self.label}-----", *lines, f"-----END {self.label}-----", ""))


def blocks(pem: str) -> list[Block]:
    """Return the blocks of a text, without the text between them; raise ValueError for one that Envoy cannot read."""
    lines = iter([line.rstrip(_TRIMMED) for line in pem.split("\n")])
    return [_block(begin[1], lines) for line in lines if (begin := _BEGIN.fullmatch(line))]


def _block(label: str, lines: Iterator[str]) -> Block:
    end, body = "", list[str]()
    for line in lines:
        if line.startswith("-----END "):
            end = line
            break
        body.append(line)
    if end != f"-----END {label}-----":
        raise ValueError(f"a block {label} does not end with -----END {label}-----")
    if body and body[0] and any(len(line) % _BUFFER == 0 for line in body):
        raise ValueError(f"a block {label} has a header, an empty line, or a line of {_BUFFER} characters")
    try:
        return Block(label, base64.b64decode("".join("".join(body).split()), validate=True))
    except ValueError:
        raise ValueError(f"a block {label} is not in Base64") from None


def der_value(content: bytes) -> bytes:
    """Return the first value of a DER text, such as the certificate of a TRUSTED CERTIFICATE without its settings."""
    length, start = content[1], 2
    if length & 0x80:
        start += length & 0x7F
        length = int.from_bytes(content[2:start])
    return content[: start + length]
