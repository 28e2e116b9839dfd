"""Refusal of client certificates none of whose names, each as a whole, is admitted.

Envoy writes names into X-Forwarded-Client-Cert as they are: ;DNS=NAME within a name passes a policy that compares the
end of the header. The subjectAltNames of a Gateway are compared with names of any kind
(https://github.com/istio/istio/blob/master/pilot/pkg/security/model/authentication.go, MatchSubjectAltNames), and with
wildcards (https://github.com/envoyproxy/envoy/blob/main/source/common/tls/cert_validator/san_matcher.cc), one of which
may stand beside such a name. Envoy's RBAC filter compares each URI and each DNS name as a whole, without wildcards
(https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/rbac/v3/rbac.proto#config-rbac-v3-principal-authenticated).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_HTTP = "envoy.filters.network.http_connection_manager"
_RBAC = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC"
_DNS = "dns:"


def are_compared(identities: Iterable[str]) -> bool:
    """Return whether certificates are admitted by a DNS name, which Istio's policies cannot compare as a whole."""
    return any(identity.startswith(_DNS) for identity in identities)


def names(identities: Iterable[str]) -> list[str]:
    """Return the names that certificates have for these identities: URIs and DNS names."""
    return [identity.removeprefix(_DNS) for identity in identities]


def http_filter(identities: Sequence[str]) -> dict[str, Any]:
    """Return Envoy's filter that denies each request whose client certificate has none of these identities."""
    admitted = [{"authenticated": {"principal_name": {"exact": name}}} for name in names(identities)]
    denied = {"not_id": {"or_ids": {"ids": admitted}}}
    policy = {"permissions": [{"any": True}], "principals": [denied]}
    rules = {"action": "DENY", "policies": {"not-admitted": policy}}
    return {"name": "kyma-mtls.certificate-names", "typed_config": {"@type": _RBAC, "rules": rules}}


def refusing_filter(selector: Mapping[str, str], domain: str, identities: Sequence[str]) -> dict[str, Any]:
    """Return the spec of an EnvoyFilter that puts the filter first among those for one host.

    selector: labels of the ingress gateway's Pods
    domain: of the host, which is the server name of its connections
    """
    place = {"filterChain": {"sni": domain, "filter": {"name": _HTTP}}}
    return {
        "workloadSelector": {"labels": dict(selector)},
        "configPatches": [
            {
                "applyTo": "HTTP_FILTER",
                "match": {"context": "GATEWAY", "listener": place},
                "patch": {"operation": "INSERT_FIRST", "value": http_filter(identities)},
            }
        ],
    }
