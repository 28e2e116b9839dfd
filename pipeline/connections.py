"""Which client gains or loses access to which host between two configs, in sentences and as a Mermaid picture."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from pipeline.stack_file import StackFile
from settings import Client, Settings
from settings.values import may_be_shown

Pair = tuple[str, str]
"""A client, and a host that admits it."""
Value = str | tuple[str, ...]

MOST_EDGES = 100
_GAINED, _LOST = "#1a7f37", "#cf222e"


def pairs(settings: Settings | None) -> set[Pair]:
    """Return each client with each host that admits it."""
    return {(client, host) for host in settings.hosts for client in settings.admitted(host)} if settings else set()


def sentences(before: StackFile | None, after: StackFile) -> list[str]:
    """Return a sentence for each change: first of access, then of every other key."""
    old, new = before.settings if before else None, after.settings
    access = [*_hosts(old, new), *_clients(old, new), *_admissions(old, new)]
    return [*access, *(_other_keys(before, after) if before else ())]


def picture(before: Settings | None, after: Settings) -> str:
    """Return a Mermaid graph of clients and hosts; of more than MOST_EDGES connections, of those that change.

    Return an empty text if no connection changes, or more than MOST_EDGES do.
    """
    old, new = pairs(before), pairs(after)
    gained, lost = new - old, old - new
    if not 0 < len(gained | lost) <= MOST_EDGES:
        return ""
    drawn = sorted(old | new if len(old | new) <= MOST_EDGES else gained | lost)
    clients = {client: f"c{number}" for number, client in enumerate(sorted({client for client, _ in drawn}))}
    hosts = {host: f"h{number}" for number, host in enumerate(sorted({host for _, host in drawn}))}
    labels = {name: f"{name}<br/>{host.domain}" for name, host in after.hosts.items()}
    lines = ["graph LR"]
    lines += [f'  {node}["{client}"]' for client, node in clients.items()]
    lines += [f'  {node}["{labels.get(host, host)}"]' for host, node in hosts.items()]
    for number, (client, host) in enumerate(drawn):
        arrow, color = "-->", ""
        if (client, host) in gained:
            arrow, color = "== gains ==>", _GAINED
        elif (client, host) in lost:
            arrow, color = "-. loses .->", _LOST
        lines.append(f"  {clients[client]} {arrow} {hosts[host]}")
        lines += [f"  linkStyle {number} stroke:{color}"] if color else []
    return "\n".join(lines)


def code(text: str) -> str:
    """Return a text as inline code of Markdown that the text cannot end."""
    return f"`{' '.join(text.replace('`', chr(39)).split())}`"


def _hosts(before: Settings | None, after: Settings) -> Iterator[str]:
    known = before.hosts if before else {}
    for name in sorted(after.hosts.keys() - known.keys()):
        host = after.hosts[name]
        kind = ", a partner's," if host.external else ""
        admitted = _listed(after.admitted(name)) or "no client"
        yield f"Host {code(name)} ({code(host.domain)}){kind} is new and admits {admitted}."
    for name in sorted(known.keys() - after.hosts.keys()):
        callers = _listed(before.admitted(name)) if before else ""
        yield f"Host {code(name)} is removed" + (f": {callers} can no longer call it." if callers else ".")


def _clients(before: Settings | None, after: Settings) -> Iterator[str]:
    known = before.clients if before else {}
    for name in sorted(after.clients.keys() - known.keys()):
        hosts = _listed(after.hosts_of(name)) or "no host"
        yield f"Client {code(name)}{_partner(after.clients[name])} is new and may call {hosts}."
    for name in sorted(known.keys() - after.clients.keys()):
        hosts = _listed(before.hosts_of(name)) if before else ""
        yield f"Client {code(name)} is removed" + (f": it can no longer call {hosts}." if hosts else ".")


def _admissions(before: Settings | None, after: Settings) -> Iterator[str]:
    """Yield a sentence for each admission that changes between a host and a client of both configs."""
    if before is None:
        return
    hosts, clients = before.hosts.keys() & after.hosts.keys(), before.clients.keys() & after.clients.keys()
    stay = {(client, host) for client in clients for host in hosts}
    old, new = pairs(before) & stay, pairs(after) & stay
    yield from (f"{code(host)} now admits {code(client)}." for client, host in sorted(new - old))
    yield from (f"{code(client)} can no longer call {code(host)}." for client, host in sorted(old - new))


def _other_keys(before: StackFile, after: StackFile) -> Iterator[str]:
    """Yield a sentence for each changed key; none for admissions, nor for added or removed hosts and clients."""
    left_out = tuple(
        f"{kind}.{name}." for kind in ("hosts", "clients") for name in _added_or_removed(before, after, kind)
    )
    old, new = ({key: value for key, value in _keys(file) if not key.startswith(left_out)} for file in (before, after))
    for key in sorted({*old, *new}):
        yield from _changed(key, old.get(key), new.get(key), is_hidden=key.partition(".")[0] in before.hidden)
    for key in sorted({*before.secrets, *after.secrets}):
        if before.secrets.get(key) != after.secrets.get(key) and not key.startswith(left_out):
            yield f"The secret {code(key)} {'changes' if key in after.secrets else 'is removed'}."


def _added_or_removed(before: StackFile, after: StackFile, kind: str) -> set[str]:
    return set(getattr(before.settings, kind)) ^ set(getattr(after.settings, kind))


def _keys(file: StackFile) -> Iterator[tuple[str, Value]]:
    yield from ((key, value) for key, value in _flat("", file.settings) if not _is_described_elsewhere(key))
    yield from file.gateway.items()


def _is_described_elsewhere(key: str) -> bool:
    return key.startswith("gateway.") or (key.startswith("hosts.") and key.endswith(".clients"))


def _flat(path: str, value: Any) -> Iterator[tuple[str, Value]]:
    """Yield each key that is set, with its value; a list as a tuple."""
    if isinstance(value, BaseModel):
        value = {str(field.alias): getattr(value, name) for name, field in type(value).model_fields.items()}
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from _flat(f"{path}.{key}" if path else str(key), each)
    elif isinstance(value, tuple):
        yield path, tuple(map(str, value))
    elif value is not None and str(value):
        yield path, str(value).lower() if isinstance(value, bool) else str(value)


def _changed(key: str, old: Value | None, new: Value | None, *, is_hidden: bool) -> Iterator[str]:
    """Yield a sentence on a change.

    is_hidden: whether the old value may not be shown
    """
    if old == new:
        return
    if isinstance(old or (), tuple) and isinstance(new or (), tuple):
        gains = [each for each in new or () if each not in (old or ())]
        loses = [each for each in old or () if each not in (new or ())]
        lost = f"{len(loses)} of its entries" if is_hidden else _listed(loses)
        changes = [f"gains {_listed(gains)}"] * bool(gains) + [f"loses {lost}"] * bool(loses)
        yield f"{code(key)} {' and '.join(changes) or 'changes its order'}."
    elif new is None:
        yield f"{code(key)} is no longer set."
    elif old is None or is_hidden:
        yield f"{code(key)} is now {code(str(new))}." if may_be_shown(str(new)) else f"{code(key)} is now set."
    elif may_be_shown(str(old)) and may_be_shown(str(new)):
        yield f"{code(key)} changes from {code(str(old))} to {code(str(new))}."
    else:
        yield f"{code(key)} changes."


def _partner(client: Client) -> str:
    return f", a partner's ({code(client.identity)})," if client.is_partner else ""


def _listed(names: Iterable[str]) -> str:
    *first, last = [code(name) for name in names] or [""]
    return f"{', '.join(first)} and {last}" if first else last
