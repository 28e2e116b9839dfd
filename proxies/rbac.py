"""Decides which requests Envoy's RBAC filters let through, by the rules that they have, whoever made them.

https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/rbac/v3/rbac.proto. What depends on addresses, tokens or
metadata is not known.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from proxies.matchers import (
    CERTIFICATE_HEADER,
    Known,
    Peer,
    Request,
    every,
    header,
    negated,
    sample,
    some,
    string_matcher,
    template,
    text,
)

_Json = Mapping[str, Any]
_ALLOW, _DENY = "ALLOW", "DENY"
_PEER_IN_FILTER_STATE = "io.istio.peer_principal"


@dataclass(frozen=True)
class Rbac:
    """An RBAC filter.

    action: ALLOW, DENY or LOG; empty for a filter that lets everything through
    policies: by name, such as ns[NAMESPACE]-policy[NAME]-rule[NUMBER]
    """

    action: str = ""
    policies: Mapping[str, _Json] = field(default_factory=dict)

    @classmethod
    def parse(cls, config: _Json) -> "Rbac":
        """Return the filter with this configuration; rules that are no policies let nobody through for certain."""
        if "matcher" in config:
            return cls(_DENY, {"matcher": {"permissions": [{}], "principals": [{}]}})
        if "rules" not in config:
            return cls()
        rules = config["rules"] or {}
        return cls(str(rules.get("action", _ALLOW)), rules.get("policies") or {})

    def admits(self, request: Request) -> Known:
        """Return whether a request passes."""
        if self.action not in (_ALLOW, _DENY):
            return True
        matches = some(_policy(each, request) for each in self.policies.values())
        return matches if self.action == _ALLOW else negated(matches)

    def judging(self, request: Request) -> Iterator[tuple[str, _Json]]:
        """Yield name and content of each policy that may match a request by what it asks for."""
        for name, policy in self.policies.items():
            if self.action in (_ALLOW, _DENY) and _permitted(policy, request) is not False:
                yield name, policy


def admits(filters: Iterable[Rbac], request: Request) -> Known:
    """Return whether a request passes all these filters."""
    return every(each.admits(request) for each in filters)


def peers(filters: Iterable[Rbac], request: Request) -> set[Peer]:
    """Return peers that the policies that may judge a request name: one for each name, or pattern of names."""
    policies = (policy for each in filters for _, policy in each.judging(request))
    found = {peer for policy in policies for peer in _peers(policy.get("principals"))}
    return {peer for peer in found if peer.identity}


def without_example(filters: Iterable[Rbac], request: Request) -> set[str]:
    """Return the policies that may judge a request and have a pattern of peers' names with no known example."""
    return {
        name
        for each in filters
        for name, policy in each.judging(request)
        if not all(sample(matcher) for _, matcher in _names(policy.get("principals")))
    }


def methods_and_paths(filters: Iterable[Rbac], request: Request) -> tuple[set[str], set[str]]:
    """Return methods and paths that the policies that may judge a request name, likewise."""
    methods, paths = set(), set()
    for each in filters:
        for _, policy in each.judging(request):
            for key, value in _objects(policy.get("permissions")):
                if key == "url_path":
                    paths.add(sample(value.get("path") or {}))
                elif key == "header" and value.get("name") == ":method":
                    methods.add(sample(value.get("string_match") or {}))
    return methods - {""}, paths - {""}


def _policy(policy: _Json, request: Request) -> Known:
    permitted = _permitted(policy, request)
    if permitted is False:
        return False
    conditional = None if policy.keys() & {"condition", "checked_condition"} else True
    return every([permitted, some(_rule(each, request) for each in policy.get("principals") or []), conditional])


def _permitted(policy: _Json, request: Request) -> Known:
    return some(_rule(each, request) for each in policy.get("permissions") or [])


def _rule(rule: _Json, request: Request) -> Known:
    """Return whether a permission, or a principal, matches."""
    return next((_RULES[kind](value, request) for kind, value in rule.items() if kind in _RULES), None)


def _all(listed: Any, request: Request) -> Known:
    return every(_rule(each, request) for each in listed.get("rules") or listed.get("ids") or [])


def _any(listed: Any, request: Request) -> Known:
    return some(_rule(each, request) for each in listed.get("rules") or listed.get("ids") or [])


def _not(rule: Any, request: Request) -> Known:
    return negated(_rule(rule, request))


def _port(port: Any, request: Request) -> Known:
    return None if request.port is None else request.port == port


def _template(extension: Any, request: Request) -> Known:
    return template(str((extension.get("typed_config") or {}).get("path_template", "")), request.path)


def _authenticated(value: Any, request: Request) -> Known:
    names, matcher = request.peer.names, value.get("principal_name")
    return some(map(partial(text, matcher), names)) if matcher else bool(names)


def _filter_state(value: Any, request: Request) -> Known:
    if value.get("key") != _PEER_IN_FILTER_STATE:
        return None
    return _authenticated({"principal_name": value.get("string_match")}, request)


_RULES: Mapping[str, Callable[[Any, Request], Known]] = {
    "any": lambda _, __: True,
    "and_rules": _all,
    "and_ids": _all,
    "or_rules": _any,
    "or_ids": _any,
    "not_rule": _not,
    "not_id": _not,
    "header": header,
    "url_path": lambda value, request: text(value.get("path") or {}, request.path),
    "uri_template": _template,
    "destination_port": _port,
    "requested_server_name": lambda value, request: text(value, request.server_name),
    "authenticated": _authenticated,
    "filter_state": _filter_state,
}


def _peers(principals: Any) -> Iterator[Peer]:
    for is_header, matcher in _names(principals):
        written = sample(matcher)
        _, is_dns, name = written.rpartition(";DNS=")
        if not is_header:
            yield Peer.of(written)
        else:
            yield Peer.of(f"dns:{name}") if is_dns else Peer(frozenset({"CN=x"}), written)


def _names(principals: Any) -> Iterator[tuple[bool, _Json]]:
    """Yield each matcher of peers' names, and whether it is for X-Forwarded-Client-Cert."""
    for key, value in _objects(principals):
        if key == "authenticated" and value.get("principal_name"):
            yield False, value["principal_name"]
        elif key == "filter_state" and value.get("key") == _PEER_IN_FILTER_STATE:
            yield False, value.get("string_match") or {}
        elif key == "header" and value.get("name") == CERTIFICATE_HEADER and "present_match" not in value:
            yield True, string_matcher(value)


def _objects(found: Any) -> Iterator[tuple[str, _Json]]:
    """Yield each object within, with the name of its field."""
    if isinstance(found, list):
        for each in found:
            yield from _objects(each)
    elif isinstance(found, Mapping):
        for key, value in found.items():
            if isinstance(value, Mapping):
                yield key, value
            yield from _objects(value)
