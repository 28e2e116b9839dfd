"""Masks for text that looks like a secret: the engine masks only the values that it knows as secrets."""

import base64
import re
from collections.abc import Iterable, Iterator

_MASK = "[secret]"
_PEM = re.compile(r"-----BEGIN ([A-Z ]*)PRIVATE KEY-----.*?(-----END \1PRIVATE KEY-----|\Z)", re.DOTALL)
_BASE64_PEM = re.compile(r"LS0tLS1CRUdJTi[A-Za-z0-9+/=]+")
_TOKEN = re.compile(r"eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]+")
# The engine prints the values of inputs that differ from a plan, secrets in clear included.
_VALUES_OF_PLAN = re.compile(r"(?<=violates plan: properties changed: ).*", re.DOTALL)


def redacted(text: str) -> str:
    """Return a text without private keys, PEM or base64, without tokens (JWT), and without values of a plan."""
    text = _VALUES_OF_PLAN.sub("(values withheld)\n", text)
    text = _TOKEN.sub(_MASK, _PEM.sub(_MASK, text))
    return _BASE64_PEM.sub(lambda found: _MASK if _is_key(found[0]) else found[0], text)


def in_safe_parts(lines: Iterable[str]) -> Iterator[str]:
    """Yield masked lines as they arrive, the lines of a PEM block together.

    After values of a plan, yield only the mask: their end cannot be recognized.
    """
    held = ""
    for line in lines:
        held += line
        if _VALUES_OF_PLAN.search(held):
            continue
        if held.count("-----BEGIN ") <= held.count("-----END "):
            yield redacted(held)
            held = ""
    yield redacted(held)


def _is_key(encoded: str) -> bool:
    whole = encoded[: len(encoded) // 4 * 4]
    try:
        return b"PRIVATE KEY" in base64.b64decode(whole)
    except ValueError:
        return True
