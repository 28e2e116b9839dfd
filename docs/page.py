"""Read a Markdown page: its links, anchors and commands, each with its line."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from markdown_it import MarkdownIt
from markdown_it.token import Token

_PARSER = MarkdownIt("commonmark").enable("table")
_SHELLS = {"bash", "sh", "shell"}
_COMMENT = re.compile(r"(?:^|\s)#.*")


class Text(NamedTuple):
    """A piece of a page and its line, from 1."""

    line: int
    text: str


@dataclass(frozen=True)
class Page:
    """The parts of a page that are checked.

    links: targets of links and images
    anchors: names that GitHub gives to the headings
    shell: fenced shell blocks, each as its commands without comments
    code: inline code
    """

    links: Sequence[Text]
    anchors: frozenset[str]
    shell: Sequence[Sequence[Text]]
    code: Sequence[Text]


def read(text: str) -> Page:
    """Parse a page's Markdown."""
    links, code, shell, headings = [], [], [], []
    tokens, line = _PARSER.parse(text), 1
    for before, token in zip([None, *tokens], tokens, strict=False):
        line = token.map[0] + 1 if token.map else line
        if token.type == "fence" and token.info.strip() in _SHELLS:
            shell.append(list(_commands(token.content, line + 1)))
        if token.type != "inline":
            continue
        if before and before.type == "heading_open":
            headings.append("".join(each.content for each in token.children or ()))
        for at, child in _with_lines(token.children or (), line):
            if target := child.attrGet("href") or child.attrGet("src"):
                links.append(Text(at, str(target)))
            elif child.type == "code_inline":
                code.append(Text(at, child.content))
    return Page(links, frozenset(_anchors(headings)), shell, code)


def _with_lines(children: Sequence[Token], line: int) -> Iterator[tuple[int, Token]]:
    for child in children:
        yield line, child
        line += child.type in {"softbreak", "hardbreak"}


def _commands(block: str, line: int) -> Iterator[Text]:
    """Yield the commands of a block; one that is continued by a backslash is on its first line."""
    lines = iter(enumerate(block.splitlines(), line))
    for number, text in lines:
        command = text
        while command.endswith("\\"):
            command = command[:-1] + next(lines, (0, ""))[1]
        if command := _COMMENT.sub("", command).strip():
            yield Text(number, command)


def _anchors(headings: Sequence[str]) -> Iterator[str]:
    """Yield the anchors of headings, as GitHub's html-pipeline names them.

    https://github.com/gjtorikian/html-pipeline/blob/main/lib/html_pipeline/node_filter/table_of_contents_filter.rb
    """
    seen: dict[str, int] = {}
    for heading in headings:
        name = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        count = seen[name] = seen.get(name, -1) + 1
        yield f"{name}-{count}" if count else name
