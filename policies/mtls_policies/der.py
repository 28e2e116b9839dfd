"""Private keys in DER, found by their beginnings."""

import re
from collections.abc import Iterator

_LENGTH = rb"(?:[\x10-\x7f]|\x81.|\x82..)"
_SEQUENCE = rb"\x30" + _LENGTH
# By the names of RFCs. A certificate or a request begins with two sequences, a public key with an algorithm.
_PRIVATE_KEY_INFO = rb"\x02\x01[\x00\x01]\x30(?P<algorithm>[\x05-\x40])"  # RFC 5958
_ENCRYPTED_PRIVATE_KEY_INFO = (  # RFC 5958, by password: algorithms of PKCS #5 and #12
    _SEQUENCE + rb"\x06(?:\x09\x2a\x86\x48\x86\xf7\x0d\x01\x05|\x0a\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x01)"
)
_RSA_PRIVATE_KEY = rb"\x02\x01\x00\x02(?:[\x20-\x7f]|\x81|\x82)"  # RFC 8017
_EC_PRIVATE_KEY = rb"\x02\x01\x01\x04[\x14-\x48]"  # RFC 5915
_KEY = re.compile(
    _SEQUENCE
    + b"(?:"
    + b"|".join((_PRIVATE_KEY_INFO, _ENCRYPTED_PRIVATE_KEY_INFO, _RSA_PRIVATE_KEY, _EC_PRIVATE_KEY))
    + b")",
    re.DOTALL,
)
_OCTETS = b"\x04"
_SHORT = 0x80


def keys(content: bytes) -> Iterator[tuple[int, int]]:
    """Yield the first byte of each private key, and the one behind its last."""
    for found in _KEY.finditer(content):
        algorithm = found["algorithm"]
        behind = found.end() + ord(algorithm or b"\0")
        if algorithm is None or content[behind : behind + 1] == _OCTETS:  # behind a signature's algorithm, no octets
            yield found.start(), min(len(content), found.start() + _size(content[found.start() :][:4]))


def _size(header: bytes) -> int:
    """Return the size of a value with its header."""
    length = header[1]
    if length < _SHORT:
        return 2 + length
    end = 2 + length - _SHORT
    return end + int.from_bytes(header[2:end])
