"""Blocks of Base64 within texts, in one line or wrapped, in either alphabet."""

import re
from base64 import b64decode
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

Span = tuple[int, int]
"""The first character, and the one behind the last."""

# Between the lines of a wrapped text: line breaks, also escaped ones, indents, quotes, and the signs of a diff.
GAP = r"(?:[\s\"'+~>|#*,-]|\\+[nrt])"
BASE64 = r"[A-Za-z0-9+/_=-]"
LAST_LINE = rf"{BASE64}{{1,15}}(?=[\"']?,?\s*?(?:[\r\n]|\\+[nr]|\Z))"
"""A line that is shorter than the others, with nothing behind it."""

_SHORTEST = 40
_LONGEST_PREFIX = 200
_FIRST = re.compile(rf"{BASE64}{{16,}}")
_NEXT = re.compile(rf"{GAP}{{1,200}}+({BASE64}{{16,}}|{LAST_LINE})")
_NEXT_BEHIND_A_PREFIX = re.compile(rf"{GAP}{{,200}}+({BASE64}{{16,}}|{LAST_LINE})")
_BREAK = re.compile(r"[ \t\r\"',]*+\n")
_ALPHABET = str.maketrans("-_", "+/", "=")


@dataclass(frozen=True)
class Decoded:
    """The content of a block, read from one of its first four characters on.

    lines: the block's lines in the text
    ends: of each line: the number of characters up to its end
    shift: the number of characters that are left out at the beginning
    """

    content: bytes
    lines: Sequence[Span]
    ends: Sequence[int]
    shift: int

    def lines_of(self, first: int, end: int) -> Span:
        """Return where the lines are that hold a part of the content, in bytes."""
        characters = first * 8 // 6, (end * 8 - 1) // 6
        begins, stops = (bisect_left(self.ends, self.shift + each + 1) for each in characters)
        return self.lines[begins][0], self.lines[min(stops, len(self.lines) - 1)][1]


def decoded(text: str) -> Iterator[Decoded]:
    """Yield the content of each block that is long enough for a key, in every way in which the block can be read."""
    for block in _blocks(text):
        for lines in _readings(text, block):
            parts = [text[start:end].translate(_ALPHABET) for start, end in lines]
            ends = [*accumulate(map(len, parts))]
            if ends[-1] >= _SHORTEST:
                joined = "".join(parts)
                for shift in range(4):  # what stands before may look like Base64
                    padded = joined[shift:] + "A" * ((shift - len(joined)) % 4)
                    yield Decoded(b64decode(padded), lines, ends, shift)


def _blocks(text: str) -> Iterator[list[Span]]:
    """Yield the lines of each block. All lines may have one prefix, as a log has it."""
    position = 0
    while found := _FIRST.search(text, position):
        lines, prefix = [found.span()], _prefix(text, found.start())
        while following := _following(text, lines[-1][1], prefix):
            lines.append(following)
        yield lines
        position = lines[-1][1]


def _prefix(text: str, start: int) -> str:
    """Return what stands before a position on its line; nothing if that is long."""
    begins = text.rfind("\n", max(0, start - _LONGEST_PREFIX), start) + 1
    return text[begins:start] if begins or start < _LONGEST_PREFIX else ""


def _following(text: str, end: int, prefix: str) -> Span | None:
    """Return the line of Base64 that follows one, if there is any."""
    found = _NEXT.match(text, end)
    if not found and prefix and (broken := _BREAK.match(text, end)) and text.startswith(prefix, broken.end()):
        found = _NEXT_BEHIND_A_PREFIX.match(text, broken.end() + len(prefix))
    return found.span(1) if found else None


def _readings(text: str, lines: Sequence[Span]) -> Iterator[Sequence[Span]]:
    """Yield the ways to read a block: a sign before a line is of a diff, or of Base64; a diff has old and new lines."""
    yield lines
    with_signs = [lines[0], *((start - (text[start - 1] in "+-"), end) for start, end in lines[1:])]
    if with_signs != lines:
        yield with_signs
    between = [_prefix(text, lines[0][0]), *(text[one[1] : other[0]] for one, other in pairwise(lines))]
    signs = ["".join(each.split())[-1:] for each in between]
    if {"+", "-"} <= {*signs}:
        for left_out in "+-":
            yield [line for line, sign in zip(lines, signs, strict=True) if sign != left_out]
