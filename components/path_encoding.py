"""Refusal of paths that a server may decode to another path than the gateway compares.

Envoy decodes %2e and resolves dot segments before it compares a path, but leaves %2f, %5c and %25 as they are
(https://www.envoyproxy.io/docs/envoy/latest/api-v3/extensions/filters/network/http_connection_manager/v3/http_connection_manager.proto#envoy-v3-api-field-extensions-filters-network-http-connection-manager-v3-httpconnectionmanager-normalize-path).
A server that decodes them reads /orders/..%2fadmin as /admin. One that cuts parameters off a segment reads
/orders/..;/admin so, too, which not every version of Envoy resolves itself. Istio's AuthorizationPolicy compares the
beginning or the end of a path, not its middle: a route answers such requests instead, after the gateway's policies.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi

_STATUS = 403
_MISREAD = r"(?i).*(%(2f|5c|25)|/(\.|%2e){1,2}(;|%3b)).*"
_PREFIX = "/*"


def is_misreadable(paths: Sequence[str]) -> bool:
    """Return whether a server can read a request that these paths allow as one for another path: by a prefix only."""
    return _PREFIX not in paths and any(path.endswith(_PREFIX) for path in paths)


def refusing_route() -> dict[str, Any]:
    """Return the route of a VirtualService that answers 403 to such paths, whatever the query."""
    return {"match": [{"uri": {"regex": _MISREAD}}], "directResponse": {"status": _STATUS}}


def refusing_filter(selector: Mapping[str, str], gateway: pulumi.Input[str]) -> dict[str, Any]:
    """Return the spec of an EnvoyFilter that puts such a route before those of one Gateway, NAMESPACE/NAME.

    selector: labels of the ingress gateway's Pods
    """
    route = {"match": {"safe_regex": {"regex": _MISREAD}}, "direct_response": {"status": _STATUS}}
    return {
        "workloadSelector": {"labels": dict(selector)},
        "configPatches": [
            {
                "applyTo": "HTTP_ROUTE",
                "match": {"context": "GATEWAY", "routeConfiguration": {"gateway": gateway}},
                "patch": {"operation": "INSERT_FIRST", "value": route},
            }
        ],
    }
