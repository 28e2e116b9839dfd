"""Tells which filters may rewrite what policies compare, before an Envoy's RBAC filters see a request.

Those that Istio puts there, by https://github.com/istio/istio/blob/master/pilot/pkg/networking/core/listener_builder.go
(buildHTTPConnectionManager) and pilot/pkg/xds/filters/filters.go, rewrite nothing of it, except ext_authz. Nor does the
rate limit of Kyma's API Gateway module
(https://github.com/kyma-project/api-gateway/blob/main/internal/ratelimit/ratelimit.go).
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from proxies.matchers import CERTIFICATE_HEADER

_Json = Mapping[str, Any]
_HTTP = "envoy.extensions.filters.http."
_KEEPING = {
    *("io.istio.http.peer_metadata.Config", "stats.PluginConfig"),
    "istio.envoy.config.filter.http.alpn.v2alpha1.FilterConfig",
    *(f"{_HTTP}{each}" for each in ("cors.v3.Cors", "fault.v3.HTTPFault", "grpc_stats.v3.FilterConfig")),
    *(f"{_HTTP}{each}" for each in ("grpc_web.v3.GrpcWeb", "jwt_authn.v3.JwtAuthentication", "rbac.v3.RBAC")),
    *(f"{_HTTP}{each}" for each in ("stateful_session.v3.StatefulSession", "local_ratelimit.v3.LocalRateLimit")),
}


def is_rbac(config: _Json) -> bool:
    """Return whether a filter's configuration is that of RBAC, for requests or connections."""
    return str(config.get("@type", "")).endswith(".rbac.v3.RBAC")


def rewriting(manager: _Json) -> Iterator[str]:
    """Yield the names of what may rewrite a request ahead of the last RBAC filter of a connection manager.

    A filter that is disabled counts: a route may enable it.
    """
    filters = manager.get("http_filters") or []
    last = max((place for place, each in enumerate(filters) if is_rbac(each.get("typed_config") or {})), default=0)
    for each in (*(manager.get("early_header_mutation_extensions") or []), *filters[:last]):
        config = each.get("typed_config") or {}  # none of a filter that Envoy gets otherwise, such as of a WasmPlugin
        if _kind(config) not in _KEEPING or CERTIFICATE_HEADER in json.dumps(config).lower():
            yield str(each.get("name", "")) or _kind(config) or "without a name"


def writes_certificate(owner: _Json) -> bool:
    """Return whether a route, its virtual host, its table or a cluster of it sets X-Forwarded-Client-Cert."""
    added = (each.get("header") or {} for each in owner.get("request_headers_to_add") or [])
    return any(str(each.get("key", "")).lower() == CERTIFICATE_HEADER for each in added)


def _kind(config: _Json) -> str:
    named = str(config.get("@type", "")).rpartition("/")[2]
    return str(config.get("type_url", "")).rpartition("/")[2] if named.endswith("TypedStruct") else named
