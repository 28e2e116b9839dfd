"""What rules of NetworkPolicies admit beyond further rules: addresses, Pods and ports.

A Pod reaches what any policy of its namespace admits:
https://kubernetes.io/docs/concepts/services-networking/network-policies/#the-two-sorts-of-pod-isolation
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import ip_network
from typing import Any

Rule = Mapping[str, Any]
"""An item of `egress` in a NetworkPolicy."""

_NAME = "kubernetes.io/metadata.name"
_EVERYTHING: Sequence[Mapping[str, Any]] = (
    {"ipBlock": {"cidr": "0.0.0.0/0"}},
    {"ipBlock": {"cidr": "::/0"}},
    {"namespaceSelector": {}},
)
_Span = tuple[int, int, int]  # the version of IP, the first and the last address


def closes(policy: Mapping[str, Any]) -> bool:
    """Return whether a NetworkPolicy restricts the egress of every Pod of its namespace."""
    spec = policy.get("spec") or {}
    return _is_about_egress(spec) and _selects_all(spec.get("podSelector") or {})


def egress_of(policy: Mapping[str, Any]) -> Sequence[Rule]:
    """Return the rules by which a NetworkPolicy admits egress; none if it is about ingress only."""
    spec = policy.get("spec") or {}
    return tuple(spec.get("egress") or ()) if _is_about_egress(spec) else ()


def beyond(rule: Rule, allowed: Sequence[Rule], namespace: str) -> Iterator[str]:
    """Yield the destinations that a rule admits and none of the allowed ones does; none if it admits no more.

    namespace: of the policies, whose own Pods both may name without a namespaceSelector
    """
    for port in rule.get("ports") or [{}]:
        covering = [each for each in allowed if _covers_port(each, port)]
        for peer in rule.get("to") or _EVERYTHING:
            if not _is_within(peer, covering, namespace):
                yield _said(peer, port, namespace)


def _is_about_egress(spec: Mapping[str, Any]) -> bool:
    return "Egress" in (spec.get("policyTypes") or (["Egress"] if spec.get("egress") else []))


def _selects_all(selector: Mapping[str, Any]) -> bool:
    return not selector.get("matchLabels") and not selector.get("matchExpressions")


def _covers_port(rule: Rule, port: Mapping[str, Any]) -> bool:
    """Return whether a rule has a port, or a range of them, of which another one is a part; {} stands for all."""
    own = rule.get("ports") or [{}]
    return any(_is_part(port, each) for each in own)


def _is_part(port: Mapping[str, Any], whole: Mapping[str, Any]) -> bool:
    if not whole:
        return True
    if not port or port.get("protocol", "TCP") != whole.get("protocol", "TCP"):
        return False
    if "port" not in whole:
        return True
    first, expected = port.get("port"), whole["port"]
    if not isinstance(first, int) or not isinstance(expected, int):
        return bool(first == expected)  # the name of a port of the destination's Pods
    return bool(expected <= first) and int(port.get("endPort", first)) <= int(whole.get("endPort", expected))


def _is_within(peer: Mapping[str, Any], allowed: Iterable[Rule], namespace: str) -> bool:
    if "ipBlock" in peer:
        left = list(_spans(peer["ipBlock"]))
        for rule in allowed:
            if not rule.get("to"):
                return True
            for each in rule["to"]:
                if "ipBlock" in each:
                    left = list(_without(left, _spans(each["ipBlock"])))
        return not left
    return any(
        not rule.get("to") or any("ipBlock" not in each and _is_part_of(peer, each, namespace) for each in rule["to"])
        for rule in allowed
    )


def _is_part_of(peer: Mapping[str, Any], whole: Mapping[str, Any], namespace: str) -> bool:
    """Return whether each Pod that a peer selects is one that another peer selects."""
    return all(
        _narrows(mine, theirs)
        for mine, theirs in zip(_selectors(peer, namespace), _selectors(whole, namespace), strict=True)
    )


def _selectors(peer: Mapping[str, Any], namespace: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    own = {"matchLabels": {_NAME: namespace}}
    found = peer.get("namespaceSelector")
    return own if found is None else found, peer.get("podSelector") or {}


def _narrows(selector: Mapping[str, Any], whole: Mapping[str, Any]) -> bool:
    labels = selector.get("matchLabels") or {}
    expressions = selector.get("matchExpressions") or []
    return all(labels.get(name) == value for name, value in (whole.get("matchLabels") or {}).items()) and all(
        each in expressions for each in whole.get("matchExpressions") or []
    )


def _spans(block: Mapping[str, Any]) -> Iterator[_Span]:
    excepted = [_span(each) for each in block.get("except") or ()]
    return _without([_span(block["cidr"])], excepted)


def _span(cidr: str) -> _Span:
    network = ip_network(cidr, strict=False)
    return network.version, int(network.network_address), int(network.broadcast_address)


def _without(spans: Iterable[_Span], removed: Iterable[_Span]) -> Iterator[_Span]:
    left = list(spans)
    for version, first, last in removed:
        left = [part for span in left for part in _parts(span, (version, first, last))]
    yield from left


def _parts(span: _Span, removed: _Span) -> Iterator[_Span]:
    """Yield what is left of a span without another one."""
    version, first, last = span
    if removed[0] != version or removed[2] < first or removed[1] > last:
        yield span
        return
    if first < removed[1]:
        yield version, first, removed[1] - 1
    if last > removed[2]:
        yield version, removed[2] + 1, last


def _said(peer: Mapping[str, Any], port: Mapping[str, Any], namespace: str) -> str:
    where = f" at {port.get('protocol', 'TCP')} {port['port']}" if "port" in port else ""
    if "port" in port and "endPort" in port:
        where += f" to {port['endPort']}"
    if "ipBlock" in peer:
        return f"{peer['ipBlock']['cidr']}{where}"
    spaces, pods = _selectors(peer, namespace)
    of = "every namespace" if _selects_all(spaces) else f"namespaces with {_labels(spaces)}"
    if set(spaces.get("matchLabels") or {}) == {_NAME} and not spaces.get("matchExpressions"):
        of = f"namespace {spaces['matchLabels'][_NAME]}"
    return f"Pods{'' if _selects_all(pods) else f' with {_labels(pods)}'} of {of}{where}"


def _labels(selector: Mapping[str, Any]) -> str:
    labels = [f"{name}={value}" for name, value in (selector.get("matchLabels") or {}).items()]
    labels += [f"{each['key']} {each['operator']}" for each in selector.get("matchExpressions") or []]
    return ", ".join(labels)
