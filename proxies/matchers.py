"""Decides what Envoy's matchers say of a request: True, False, or None where that depends on what is not known of it.

https://www.envoyproxy.io/docs/envoy/latest/api-v3/type/matcher/v3/string.proto,
https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/route/v3/route_components.proto
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Known = bool | None
_Json = Mapping[str, Any]

CERTIFICATE_HEADER = "x-forwarded-client-cert"
_DNS = "dns:"


@dataclass(frozen=True)
class Peer:
    """Who sends a request: the names that policies compare.

    names: of the certificate; a peer without a certificate has none
    header: X-Forwarded-Client-Cert, as the gateway writes it
    """

    names: frozenset[str] = frozenset()
    header: str = ""

    @classmethod
    def of(cls, identity: str) -> "Peer":
        """Return the peer with this identity: a URI, or `dns:NAME`."""
        if identity.startswith(_DNS):
            name = identity.removeprefix(_DNS)
            return cls(frozenset({name}), f'Hash=0;Subject="";URI=;DNS={name}')
        return cls(frozenset({identity}), f'Hash=0;Subject="";URI={identity}')

    @classmethod
    def claiming(cls, identity: str) -> "Peer":
        """Return a peer whose URI has a DNS name within it, as gateways write the names of certificates."""
        uri = f"spiffe://verification.invalid/;DNS={identity.removeprefix(_DNS)}"
        return cls(frozenset({uri}), f'Hash=0;Subject="";URI={uri}')

    @property
    def identity(self) -> str:
        """Its identity; empty without a certificate."""
        name = next(iter(self.names), "")
        return f"{_DNS}{name}" if ";DNS=" in self.header else name


@dataclass(frozen=True)
class Request:
    """A request, as far as it is known; None for what may be anything."""

    peer: Peer
    authority: str | None = None
    method: str | None = None
    path: str | None = None
    port: int | None = None
    server_name: str | None = None

    def header(self, name: str) -> str | None:
        """Return a header; None if the client may choose it."""
        known = {
            ":authority": self.authority,
            "host": self.authority,
            ":method": self.method,
            ":path": self.path,
            CERTIFICATE_HEADER: self.peer.header,
        }
        return known.get(name.lower())


def negated(known: Known) -> Known:
    """Return the opposite; of what is not known, None."""
    return None if known is None else not known


def every(known: Iterable[Known]) -> Known:
    """Return whether all are true."""
    result: Known = True
    for each in known:
        if each is False:
            return False
        result = None if each is None else result
    return result


def some(known: Iterable[Known]) -> Known:
    """Return whether one is true."""
    return negated(every(map(negated, known)))


def text(matcher: _Json, value: str | None) -> Known:
    """Return whether a StringMatcher matches a text."""
    if value is None:
        return None
    if regex := _regex(matcher):
        return _full_match(regex, value)
    ignores = bool(matcher.get("ignore_case"))
    compared = value.lower() if ignores else value
    for kind, matches in _KINDS.items():
        if kind in matcher:
            wanted = str(matcher[kind])
            return matches(compared, wanted.lower() if ignores else wanted)
    return None


_KINDS: Mapping[str, Callable[[str, str], bool]] = {
    "exact": str.__eq__,
    "prefix": str.startswith,
    "suffix": str.endswith,
    "contains": str.__contains__,
}


def _regex(matcher: _Json) -> str:
    return str((matcher.get("safe_regex") or {}).get("regex", ""))


def _full_match(regex: str, value: str) -> Known:
    try:
        return re.fullmatch(regex, value) is not None
    except re.error:
        return None  # RE2 has its own syntax


def header(matcher: _Json, request: Request) -> Known:
    """Return whether a HeaderMatcher matches."""
    value = request.header(str(matcher.get("name", "")))
    if value is None:
        return None
    if not value:  # the request does not have it: https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/route/v3/route_components.proto#config-route-v3-headermatcher
        return _without_it(matcher)
    if "present_match" in matcher:
        found: Known = bool(matcher["present_match"])
    else:
        found = text(string_matcher(matcher), value)
    return negated(found) if matcher.get("invert_match") else found


def _without_it(matcher: _Json) -> Known:
    """Return whether a HeaderMatcher matches a request that does not have its header."""
    if matcher.get("treat_missing_header_as_empty"):
        return None
    is_inverted = bool(matcher.get("invert_match"))
    return "present_match" in matcher and bool(matcher["present_match"]) == is_inverted


def string_matcher(matcher: _Json) -> _Json:
    """Return the StringMatcher of a HeaderMatcher, also of one with the older fields."""
    older = {key.removesuffix("_match"): value for key, value in matcher.items() if key.endswith("_match")}
    return matcher.get("string_match") or older


def template(path_template: str, path: str | None) -> Known:
    """Return whether a URI template, such as /orders/{**}, matches a path."""
    if path is None:
        return None
    parts = re.split(r"(\*\*|\*)", re.sub(r"\{(?:\w+=)?(\*\*?)\}", r"\1", path_template))
    regex = "".join({"**": ".*", "*": "[^/]+"}.get(part, re.escape(part)) for part in parts)
    return _full_match(regex, path)


def route(match: _Json, request: Request) -> Known:
    """Return whether a RouteMatch matches."""
    path = request.path
    found = [header(each, request) for each in match.get("headers") or []]
    if "prefix" in match:
        found.append(text({"prefix": match["prefix"], "ignore_case": match.get("case_sensitive") is False}, path))
    elif "path" in match:
        found.append(text({"exact": match["path"], "ignore_case": match.get("case_sensitive") is False}, path))
    elif "safe_regex" in match:
        found.append(text(match, path))
    elif "path_separated_prefix" in match:
        prefix = str(match["path_separated_prefix"])
        found.append(None if path is None else path == prefix or path.startswith(f"{prefix}/"))
    elif "path_match_policy" in match:
        config = match["path_match_policy"].get("typed_config") or {}
        found.append(template(str(config.get("path_template", "")), path))
    else:
        found.append(False if "connect_matcher" in match else None)
    known = {"headers", "case_sensitive", "prefix", "path", "safe_regex", "path_separated_prefix", "path_match_policy"}
    if match.keys() - known:
        found.append(None)
    return every(found)


def sample(matcher: _Json) -> str:
    """Return a text that a StringMatcher matches; empty if none is found."""
    regex = _regex(matcher)
    plain = regex.strip("^$").replace(r"\.", "\0").replace(".*", "x").replace(".+", "x").replace("\0", ".")
    forms = (
        str(matcher.get("exact", "")),
        *(f"{matcher[kind]}x" for kind in ("prefix",) if kind in matcher),
        *(f"x{matcher[kind]}" for kind in ("suffix",) if kind in matcher),
        *(f"x{matcher[kind]}x" for kind in ("contains",) if kind in matcher),
        plain,
    )
    return next((each for each in forms if each and text(matcher, each)), "")
