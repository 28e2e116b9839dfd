"""Parts of a comment, of which the more important ones get their room first."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum

LEAST = 1_000
"""The bytes that every part gets, if it needs them, before any part gets more."""
_CUT = "… and more; the log of the run has all of it."
_BETWEEN = "\n\n"


class Rank(IntEnum):
    """The importance of a part, the most important first."""

    OUTCOME = 0
    INTERRUPTION = 1
    ERROR = 2
    WARNING = 3
    ACCESS = 4
    OBJECTS = 5
    PICTURE = 6
    DIFF = 7


@dataclass(frozen=True)
class Part:
    """A part of a comment, which is cut by whole lines if it gets less room than it needs.

    opening, closing: Markdown around the text, which stays
    is_whole: whether the part is left out instead of cut
    """

    rank: Rank
    text: str
    opening: str = ""
    closing: str = ""
    is_whole: bool = False

    @property
    def whole(self) -> str:
        """The part with all of its text."""
        return self._with(self.text)

    @property
    def size(self) -> int:
        """The bytes of the whole part."""
        return len(self.whole.encode())

    @property
    def least(self) -> int:
        """The bytes that the part gets in any case."""
        return 0 if self.is_whole else min(self.size, LEAST)

    def within(self, room: int) -> str:
        """Return the part in at most `room` bytes."""
        if self.size <= room:
            return self.whole
        if self.is_whole:
            return ""
        around = len(self._with(f"\n{_CUT}").encode())
        return self._with(f"{beginning(self.text, room - around)}\n{_CUT}")

    def _with(self, text: str) -> str:
        return f"{self.opening}{text}{self.closing}"


def fitted(parts: Sequence[Part], room: int) -> str:
    """Return the parts in their order, together in at most `room` bytes: the more important ones get more of it."""
    granted = [part.least for part in parts]
    left = room - sum(granted) - len(_BETWEEN) * len(parts)
    for number in sorted(range(len(parts)), key=lambda each: parts[each].rank):
        more = parts[number].size - granted[number]
        if more > left and parts[number].is_whole:
            continue
        granted[number] += min(more, left)
        left -= min(more, left)
    shown = (part.within(each) for part, each in zip(parts, granted, strict=True))
    return _BETWEEN.join(each for each in shown if each)


def beginning(text: str, most: int) -> str:
    """Return the first whole lines of a text, or a part of the first line, in at most this many bytes."""
    if len(text.encode()) <= most:
        return text
    kept = text.encode()[: max(0, most)].decode(errors="ignore")
    return kept.rpartition("\n")[0] or kept


def block(rank: Rank, content: str, language: str = "") -> Part:
    """Return a code block that nothing in its content can end."""
    longest = max((len(run) for run in re.findall("`+", content)), default=0)
    fence = "`" * max(3, longest + 1)
    return Part(rank, content.rstrip(), f"{fence}{language}\n", f"\n{fence}")


def bullets(rank: Rank, lines: Iterable[str]) -> Part:
    """Return a list."""
    return Part(rank, "\n".join(f"- {line}" for line in lines))
