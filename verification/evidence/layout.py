"""The picture of a stack: clients at the left, hosts at the right, and where the ways between them cross.

Each client's line goes through its egress gateway, then down; each host's line comes out of its gateway, to the left.
A mark where the two cross has the verdict on this way. Large stacks get several pictures.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from verification.evidence.verdicts import WORDS, Document, Tally, Verdicts

MOST_CLIENTS, MOST_HOSTS = 10, 18
"""The number of rows of one picture, which must fit on a page of paper."""
ROW, GAP, HALF = 44, 22, 17
"""Heights in pixels: of a row, between two kinds of rows, and half of a box."""
BOX, STATION, HOST_BOX, STEP, SPACE = 190, 150, 230, 24, 20
"""Widths in pixels: of a client's box, a gateway's, a host's, between two clients' lines, and between boxes."""
_NAME, _DETAIL, _WIDER = 16, 21, 6
"""How many letters of middle width fit into a client's box, large and small ones, and how many more into a host's."""
_WIDTHS = {**dict.fromkeys("mwMW@%…", 1.7), **dict.fromkeys("fijlrt.,:;/-", 0.7)}
"""Widths of letters in DejaVu Sans, which is wider than others, in units of an average one."""


@dataclass(frozen=True)
class Mark:
    """Where the lines of a client and a host cross.

    admitted: whether the host admits the client; if not, the promise is a refusal
    """

    x: int
    y: int
    verdict: str
    admitted: bool
    title: str


@dataclass(frozen=True)
class Node:
    """A client or a host.

    line: where its own line begins or ends: x of a client's, or of the first crossing of a host's; None without any
    station: the gateway that its line goes through; empty for none
    """

    y: int
    name: str
    detail: str
    title: str
    is_partner: bool
    line: int | None
    down_to: int = 0
    station: tuple[str, str] = ("", "")
    is_away: bool = False
    verdict: str = ""


@dataclass(frozen=True)
class Picture:
    """The nodes, crossings and sizes of one picture."""

    clients: Sequence[Node]
    hosts: Sequence[Node]
    marks: Sequence[Mark]
    gateway: tuple[int, int, str] | None
    gateway_x: int
    width: int
    height: int
    title: str
    description: str

    @property
    def host_x(self) -> int:
        """Where the hosts' boxes begin."""
        return self.gateway_x + STATION + SPACE


def pictures(document: Document) -> list[Picture]:
    """Return the pictures of a stack; none without a host and a client."""
    clients, hosts = document.get("clients", {}), document.get("hosts", {})
    ordered = sorted(hosts, key=lambda name: hosts[name]["partner"])  # else in the order of the config
    parts = [(some, few) for few in _parts(ordered, MOST_HOSTS) for some in _parts(list(clients), MOST_CLIENTS)]
    verdicts = Verdicts(document.get("checks", ()))
    ways = {(way["client"], way["host"]) for way in document.get("ways", ())}
    return [
        _Drawing(document, verdicts, ways, some, few).picture(number, len(parts))
        for number, (some, few) in enumerate(parts, 1)
    ]


def shortened(text: str, width: float) -> str:
    """Return a text that is about as wide as so many letters of middle width, with an ellipsis for its middle."""
    if _width(text) <= width:
        return text
    head, tail = "", ""
    for first, last in zip(text, reversed(text), strict=True):
        if _width(f"{head}{first}…{tail}") > width:
            break
        head += first
        if _width(f"{head}…{last}{tail}") > width:
            break
        tail = last + tail
    return f"{head}…{tail}"


def _width(text: str) -> float:
    return sum(_WIDTHS.get(each, 1.25 if each.isupper() or not each.isascii() else 1) for each in text)


class _Drawing:
    """The places of some clients and some hosts."""

    def __init__(
        self,
        document: Document,
        verdicts: Verdicts,
        ways: set[tuple[str, str]],
        clients: Sequence[str],
        hosts: Sequence[str],
    ) -> None:
        self._document, self._verdicts, self._ways = document, verdicts, ways
        first = BOX + SPACE + STATION + SPACE
        self._x = {name: first + STEP * (len(clients) - at - 1) + STEP // 2 for at, name in enumerate(clients)}
        self._client_y = {name: ROW * at + ROW // 2 for at, name in enumerate(clients)}
        below = ROW * len(clients) + GAP
        partner = document["hosts"]
        self._host_y = {
            name: below + ROW * at + ROW // 2 + (GAP if partner[name]["partner"] else 0)
            for at, name in enumerate(hosts)
        }
        self._gateway_x = first + STEP * len(clients) + SPACE
        self._marks = {(client, host): mark for client, host, mark in self._crossings()}

    def picture(self, number: int, total: int) -> Picture:
        """Return the picture; number and total are for its title."""
        counted = f", picture {number} of {total}" if total > 1 else ""
        return Picture(
            clients=[self._client(name) for name in self._client_y],
            hosts=[self._host(name) for name in self._host_y],
            marks=list(self._marks.values()),
            gateway=self._gateway(),
            gateway_x=self._gateway_x,
            width=self._gateway_x + STATION + SPACE + HOST_BOX,
            height=max(self._host_y.values()) + ROW // 2 + 1,
            title=f"The ways from clients to hosts of stack {self._document['stack']}{counted}",
            description=self._description(),
        )

    def _crossings(self) -> Iterator[tuple[str, str, Mark]]:
        for host, y in self._host_y.items():
            for client, x in self._x.items():
                found, admitted = self._verdicts.of(client, host), (client, host) in self._ways
                if not found and not admitted:
                    continue
                said = found or Tally()
                way = f"client {client} to host {host}" if admitted else f"host {host} refuses client {client}"
                yield client, host, Mark(x, y, said.verdict, admitted, f"{way}: {WORDS[said.verdict]} ({said.words})")

    def _client(self, name: str) -> Node:
        client: dict[str, Any] = self._document["clients"][name]
        lowest = max((mark.y for (each, _), mark in self._marks.items() if each == name), default=0)
        station = ("egress gateway", _name_of(client["gateway"])) if client["gateway"] else ("", "")
        own = self._verdicts.of(name, None)
        detail = "a partner's" if client["partner"] else "its cluster is away" if client["away"] else ""
        return Node(
            y=self._client_y[name],
            name=shortened(name, _NAME),
            detail=detail or shortened(client["identity"], _DETAIL),
            title=_titled(f"client {name}, {client['identity']}", own),
            is_partner=client["partner"],
            line=self._x[name] if lowest else None,
            down_to=lowest,
            station=station,
            is_away=client["away"],
            verdict=own.verdict if own else "",
        )

    def _host(self, name: str) -> Node:
        host = self._document["hosts"][name]
        own = self._verdicts.of(None, name)
        return Node(
            y=self._host_y[name],
            name=shortened(name, _NAME + _WIDER - 1),
            detail=shortened(host["domain"], _DETAIL + _WIDER),
            title=_titled(f"host {name}, {host['domain']}{', of a partner' if host['partner'] else ''}", own),
            is_partner=host["partner"],
            line=min((mark.x for (_, each), mark in self._marks.items() if each == name), default=None),
            verdict=own.verdict if own else "",
        )

    def _gateway(self) -> tuple[int, int, str] | None:
        """Return top, height and name of the ingress gateway; None if none of these hosts is behind it."""
        behind = {name: y for name, y in self._host_y.items() if not self._document["hosts"][name]["partner"]}
        if not behind:
            return None
        name = self._document["hosts"][next(iter(behind))]["gateway"] or ""
        top = min(behind.values()) - HALF
        return top, max(behind.values()) + HALF - top, _name_of(name)

    def _description(self) -> str:
        """Return in words what the picture shows."""
        ways = [mark for mark in self._marks.values() if mark.admitted]
        counts = [f"{sum(mark.verdict == each for mark in ways)} {word}" for each, word in WORDS.items()]
        wrong = [mark.title for mark in self._marks.values() if mark.verdict in ("failed", "error")]
        lines = [f"{len(self._client_y)} clients, {len(self._host_y)} hosts, {len(ways)} ways: {', '.join(counts)}."]
        return " ".join([*lines, *(f"{each}." for each in wrong), "The tables below list all of it."])


def _titled(text: str, own: Tally | None) -> str:
    return f"{text}: {own.words}" if own else text


def _name_of(gateway: str) -> str:
    """Return the name of a gateway's Service, without its namespace."""
    return shortened(gateway.rpartition("/")[2], _DETAIL)


def _parts(names: Sequence[str], most: int) -> list[Sequence[str]]:
    """Cut a list into parts of about one length, none of which is longer than `most`."""
    count = -(-len(names) // most)
    return [names[len(names) * at // count : len(names) * (at + 1) // count] for at in range(count)]
