"""Masks for text that looks like a secret: the engine masks only the values that it knows as secrets."""

import re
from collections.abc import Iterable, Iterator

from policies.mtls_policies import private_keys

_MASK = "[secret]"
_TOKEN = re.compile(r"eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]+")
# The engine shows the values that differ from a plan, and one that a provider refuses, secrets in clear included.
_DIFFERENCE = "violates plan: properties changed: "
_VALUES_OF_PLAN = re.compile(rf"(?<={_DIFFERENCE}).*", re.DOTALL)
_REFUSED = re.compile(r"(?<=: property )(\S+ value )\{")
_PROBLEM = "} has a problem: "
_REFUSED_VALUE = re.compile(rf"{_REFUSED.pattern}.*?(?:{_PROBLEM}|\Z)", re.DOTALL)
# A line of Base64, the last and shorter one of a key, and the beginning of a wrapped mark.
_GOES_ON = re.compile(r"([A-Za-z0-9+/_=-]{16}|BEGIN[A-Z0-9 ]*)[\s\"',\\]*\Z")
_SHORT_LINE = re.compile(r"[\s+~>|#*-]*[A-Za-z0-9+/_=-]{1,15}\s*\Z")
_END_OF_LINE = 200


def redacted(text: str) -> str:
    """Return a text without private keys, as the policies find them, tokens (JWT), and values that are refused."""
    text = _VALUES_OF_PLAN.sub("(values withheld)\n", text)
    text = _REFUSED_VALUE.sub(rf"\1(withheld{_PROBLEM.replace('}', ')')}", text)
    text = _TOKEN.sub(_MASK, text)
    position, shown = 0, []
    for start, end in private_keys.spans(text):
        shown += [text[position:start], _MASK]
        position = end
    return "".join([*shown, text[position:]])


def in_safe_parts(lines: Iterable[str]) -> Iterator[str]:
    """Yield masked lines as they arrive: the lines of a PEM key together, and those of any Base64.

    After values of a plan, yield only the mask: their end cannot be recognized.
    """
    held = previous = ""
    withheld = is_refused = False
    opened: int | None = None
    for line in lines:
        held += line
        withheld = withheld or _DIFFERENCE in line
        is_refused = (is_refused or bool(_REFUSED.search(line))) and _PROBLEM not in line
        for ends, _ in private_keys.marks(previous + line):
            opened = None if ends else len(held)
        is_key = opened is not None and len(held) - opened <= private_keys.LONGEST
        is_short = held != line and _SHORT_LINE.match(line)
        previous = line
        if not (withheld or is_refused or is_key or is_short or _GOES_ON.search(line[-_END_OF_LINE:])):
            yield redacted(held)
            held, previous, opened = "", "", None
    yield redacted(held)
