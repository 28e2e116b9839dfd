"""AuthorizationPolicies, as Istio has them and as Envoy has them, reduced to the texts that both compare.

Of each matcher of Envoy, the text is written as in the AuthorizationPolicy, with * for any text. That follows
https://github.com/istio/istio/blob/master/pilot/pkg/security/authz/model/generator.go and, beside it,
matcher/string.go.
"""

from collections.abc import Iterator, Mapping
from typing import Any

Rules = Mapping[int, frozenset[str]]
"""The texts of each rule, by its place in the policy."""

_TEXTS = ("principals", "hosts", "methods", "paths", "values")
_SPIFFE = "spiffe://"


def rules_of(policies: Mapping[str, Any], named: str) -> Rules | None:
    """Return the rules of an AuthorizationPolicy, NAMESPACE/NAME, in an RBAC filter; None if that lacks it."""
    namespace, _, name = named.partition("/")
    prefix = f"ns[{namespace}]-policy[{name}]-rule["
    rules = {key.removeprefix(prefix).rstrip("]"): policy for key, policy in policies.items() if key.startswith(prefix)}
    return {int(number): frozenset(_matched(policy)) for number, policy in rules.items()} or None


def rules_for(spec: Mapping[str, Any]) -> Rules:
    """Return the rules of an AuthorizationPolicy with this spec."""
    return {number: frozenset(_compared(rule)) for number, rule in enumerate(spec.get("rules") or [])}


def _compared(rule: Mapping[str, Any]) -> Iterator[str]:
    sources = [each.get("source") or {} for each in rule.get("from") or []]
    operations = [each.get("operation") or {} for each in rule.get("to") or []]
    for part in (*sources, *operations, *(rule.get("when") or [])):
        for name in _TEXTS:
            yield from part.get(name) or []
            yield from part.get(f"not{name.capitalize()}") or []
        for namespace in (*(part.get("namespaces") or []), *(part.get("notNamespaces") or [])):
            yield f"*/ns/{namespace}/*"


def _matched(policy: Any) -> Iterator[str]:
    if isinstance(policy, list):
        for each in policy:
            yield from _matched(each)
    elif isinstance(policy, Mapping):
        for name, value in policy.items():
            if not isinstance(value, str):
                yield from _matched(value)
            elif name in _MATCHERS:
                yield _MATCHERS[name].format(_plain(name, value))


_MATCHERS = {"exact": "{}", "prefix": "{}*", "suffix": "*{}", "contains": "*{}*", "regex": "{}"}


def _plain(matcher: str, text: str) -> str:
    text = text.removeprefix(_SPIFFE)
    return text.replace(".+", "*").replace(".*", "*") if matcher == "regex" else text
