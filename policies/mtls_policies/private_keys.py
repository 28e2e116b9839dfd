"""Private keys within texts: PEM, DER in Base64, and Base64 of either, in lines of 16 characters or more.

The policies refuse them, and the pipeline masks them in logs and comments.
"""

import re
from collections.abc import Iterator

from . import der
from .base64_blocks import BASE64, GAP, LAST_LINE, Span, decoded

LONGEST = 65_536
"""The most characters between the two marks of a PEM key; RSA keys of 16,384 bits have 12,700, in Base64 22,600."""
_DEEPEST = 4  # encodings within one another
_LONGEST_LABEL = 200


def _spread(word: str) -> str:
    """Return a pattern for a word that is wrapped anywhere."""
    return f"{GAP}*+".join(word)


_MARK = re.compile(_spread("PRIVATEKEY") + r"(?:(?:\s|\\+[nrt])*+-){5}")
_OPENING = re.compile(rf"(?:-\s*+){{0,5}}({_spread('BEGIN')}|{_spread('END')})(?:[A-Z0-9\s\"'+~>|#*,]|\\+[nrt])*+\Z")
_HEADERS = rf"(?:{GAP}*+(?:Proc-Type|DEK-Info): ?[A-Za-z0-9,-]+)*+"
_BODY = re.compile(rf"{_HEADERS}(?:{GAP}*+{BASE64}{{16,}}+)*+(?:{GAP}++{LAST_LINE})?")
_GAP_BACKWARDS = r"[\s\\\"'+~>|#*,-]"
_BODY_BACKWARDS = re.compile(
    rf"{_GAP_BACKWARDS}*+(?:{BASE64}{{1,15}}{_GAP_BACKWARDS}++)?(?:{_GAP_BACKWARDS}*+{BASE64}{{16,}}+)++"
)


def holds_key(text: str) -> bool:
    """Return whether a text holds a private key."""
    return any(True for _ in _found(text, 1))


def spans(text: str) -> list[Span]:
    """Return where the private keys of a text are, in order; of Base64, whole lines."""
    merged: list[Span] = []
    for start, end in sorted(_found(text, 1)):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged


def marks(text: str) -> Iterator[tuple[bool, Span]]:
    """Yield the marks of PEM keys in a text: whether the mark ends a key, and where the mark is."""
    for mark in _MARK.finditer(text):
        before = max(0, mark.start() - _LONGEST_LABEL)
        opening = _OPENING.search(text[before : mark.start()])
        start = before + opening.start() if opening else mark.start()
        yield bool(opening and opening[1].startswith("E")), (start, mark.end())


def _found(text: str, depth: int) -> Iterator[Span]:
    """Yield the private keys of a text that was decoded (depth - 1) times."""
    yield from _pem(text, is_decoded=depth > 1)
    if depth <= _DEEPEST:
        for block in decoded(text):
            for span in (*_found(block.content.decode("latin-1"), depth + 1), *der.keys(block.content)):
                yield block.lines_of(*span)


def _pem(text: str, *, is_decoded: bool) -> Iterator[Span]:
    opened: Span | None = None
    before = 0
    for ends, (start, end) in marks(text):
        if opened and ends and start - opened[1] <= LONGEST:
            yield opened[0], end
        else:
            if opened:
                yield opened[0], _end_of_body(text, opened[1], is_decoded=is_decoded)
            if ends:
                body = _BODY_BACKWARDS.match(text[max(before, start - LONGEST) : start][::-1])
                yield start - (body.end() if body else 0), end
        opened, before = None if ends else (start, end), end
    if opened:
        yield opened[0], _end_of_body(text, opened[1], is_decoded=is_decoded)


def _end_of_body(text: str, start: int, *, is_decoded: bool) -> int:
    """Return where a key ends that has no second mark: in a decoded text, a wrong wrapping may have hidden the mark."""
    body = _BODY.match(text, start)
    return len(text) if is_decoded or not body else body.end()
