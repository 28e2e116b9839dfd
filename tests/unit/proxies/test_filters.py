"""Filters that may rewrite what policies compare."""

from typing import Any

import pytest

from proxies.filters import rewriting, writes_certificate

HTTP = "type.googleapis.com/envoy.extensions.filters.http."
HEADER = "X-Forwarded-Client-Cert"
RBAC: dict[str, Any] = {"name": "envoy.filters.http.rbac", "typed_config": {"@type": f"{HTTP}rbac.v3.RBAC"}}


def of(kind: str, **fields: Any) -> dict[str, Any]:
    return {"name": "a", "typed_config": {"@type": kind, **fields}}


def of_struct(kind: str, value: dict[str, Any] | None = None) -> dict[str, Any]:
    return of("type.googleapis.com/udpa.type.v1.TypedStruct", type_url=kind, value=value or {})


def names(*filters: dict[str, Any], **manager: Any) -> list[str]:
    return list(rewriting({"http_filters": filters, **manager}))


@pytest.mark.parametrize(
    "found",
    [
        of("type.googleapis.com/io.istio.http.peer_metadata.Config"),
        of_struct("type.googleapis.com/stats.PluginConfig"),
        of("type.googleapis.com/istio.envoy.config.filter.http.alpn.v2alpha1.FilterConfig"),
        of(f"{HTTP}jwt_authn.v3.JwtAuthentication", providers={"a": {"claim_to_headers": [{"header_name": "x-a"}]}}),
        of_struct(f"{HTTP}local_ratelimit.v3.LocalRateLimit"),
        RBAC,
    ],
)
def test_filters_of_istio_and_kyma_rewrite_nothing(found: dict[str, Any]) -> None:
    assert names(found, RBAC) == []


@pytest.mark.parametrize(
    "found",
    [
        *(of(f"{HTTP}{kind}") for kind in ("lua.v3.Lua", "wasm.v3.Wasm", "ext_proc.v3.ExternalProcessor")),
        *(of(f"{HTTP}{kind}") for kind in ("header_mutation.v3.HeaderMutation", "ext_authz.v3.ExtAuthz")),
        of_struct(f"{HTTP}lua.v3.Lua"),
        {"name": "a", "config_discovery": {"type_urls": [f"{HTTP}rbac.v3.RBAC"]}},
        {**of(f"{HTTP}lua.v3.Lua"), "disabled": True},
        of(f"{HTTP}jwt_authn.v3.JwtAuthentication", providers={"a": {"claim_to_headers": [{"header_name": HEADER}]}}),
    ],
)
def test_further_filters_before_the_policies_are_named_and_not_those_behind(found: dict[str, Any]) -> None:
    assert names(found, RBAC) == names(RBAC, found, RBAC) == ["a"]
    assert names(RBAC, found) == names(found) == []


def test_a_mutation_before_all_filters_is_named() -> None:
    assert names(RBAC, early_header_mutation_extensions=[{"name": "early"}]) == ["early"]


def test_a_header_for_the_certificate_is_told_from_others() -> None:
    assert writes_certificate({"request_headers_to_add": [{"header": {"key": "x-a"}}, {"header": {"key": HEADER}}]})
    assert not writes_certificate({"request_headers_to_add": [{"header": {"key": "x-a", "value": HEADER}}]})
    assert not writes_certificate({"request_headers_to_remove": [HEADER.lower()]})
