"""The list of rights, compared with the objects that the program registers."""

from typing import Any

import pytest

from clusters import rights
from tests.unit.conftest import Recorder
from tests.unit.deployment.program import (
    A_PARTNER,
    ANOTHER,
    API,
    CALLER,
    CALLS_OUT,
    EXTERNAL,
    GATEWAY,
    HTTPBIN,
    ORDERS,
    SIGNED,
    TAKE_OVER,
    TARGET,
    Stack,
)

WHOLE: dict[str, Any] = GATEWAY | {
    "clients": {
        "a": CALLER,
        "b": {**ANOTHER, "callers": ["logistics/tracker", "returns"], "networkPolicy": "callers"},
        "billing": {**CALLS_OUT, "kubeconfig": "billing.yaml"},
        "acme": A_PARTNER,
    },
    "hosts": {
        "httpbin": {**HTTPBIN, "clients": ["a", "acme"]},
        "orders": {**ORDERS, "clients": ["a", "b"]},
        "unsigned": {**API, "clients": ["b"]},
        "signed": {
            "domain": "signed.partner.example",
            "external": {**EXTERNAL, "credentials": SIGNED},
            "clients": ["billing"],
        },
    },
}
"""A config that uses every component."""


@pytest.mark.parametrize(
    "config",
    [
        {"clients": {"a": CALLER}, "hosts": {"httpbin": HTTPBIN}},
        {"clients": {"a": CALLER}, "hosts": {"httpbin": HTTPBIN}, "platform": "kyma"},
        {"clients": {"a": CALLER}, "hosts": {"httpbin": {**HTTPBIN, "paths": ["/anything/*"]}}, "platform": "kyma"},
        {"clients": {"a": CALLS_OUT}, "hosts": {"orders": ORDERS}},
        {"clients": {"a": {**CALLER, "networkPolicy": "none"}}, "hosts": {"orders": ORDERS}, "platform": "kyma"},
        {"clients": {"a": CALLER, "b": ANOTHER}, "hosts": {"httpbin": {**HTTPBIN, "clients": ["a"]}}},
        {"clients": {"a": CALLER}, "hosts": {"httpbin": HTTPBIN}} | GATEWAY,
        {"clients": {"a": CALLER}, "hosts": {"httpbin": HTTPBIN}} | TAKE_OVER,
        GATEWAY | {"gatewayMode": "gardener"},
        TAKE_OVER | {"gatewayMode": "gardener"},
        WHOLE,
        WHOLE | TAKE_OVER | {"gatewayMode": "gardener"},
    ],
    ids=[
        "demo",
        "kyma",
        "kyma-prefix",
        "callers",
        "open",
        "no-host",
        "gateway",
        "take-over",
        "gardener",
        "gardener-take-over",
        "whole",
        "whole-kyma",
    ],
)
def test_rights_are_those_for_the_objects_that_each_cluster_gets(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, config: dict[str, Any]
) -> None:
    checked: list[tuple[Any, ...]] = []
    monkeypatch.setattr(rights, "check_rights", lambda *given: checked.append(given))
    made = stack(target=TARGET, **config)
    ((settings, sites),) = checked
    for site in sites:
        wanted = rights.needed(settings, site)
        creates = {(each.group, each.resource, each.namespace) for each in wanted if each.verb == "create"}
        patches = {(each.group, each.resource, each.namespace) for each in wanted if each.verb == "patch"} - creates
        assert creates == places(made, f"::{site.path}-{site.cluster.uid}::", patches=False)
        assert patches == places(made, f"::{site.path}-{site.cluster.uid}::", patches=True)


def places(made: Recorder, provider: str, *, patches: bool) -> set[tuple[str, str, str]]:
    """Return group, resource and namespace of the objects that a provider makes, or of those that it patches."""
    found = set()
    for each in made.resources:
        if not each.typ.startswith("kubernetes:") or each.resource_id or each.typ.endswith("Patch") != patches:
            continue
        if provider in made.requests[f"{each.typ.rpartition(':')[2]} {each.name}"].provider:
            group = each.inputs["apiVersion"].rpartition("/")[0]
            plural = f"{each.inputs['kind'].lower()}s".replace("rys", "ries").replace("cys", "cies")
            found.add((group, plural, each.inputs["metadata"].get("namespace", "")))
    return found
