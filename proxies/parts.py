"""Parts of an Envoy's config dump, by their paths at its admin interface:
https://www.envoyproxy.io/docs/envoy/latest/operations/admin#get--config_dump
"""

import re
from collections.abc import Iterable, Mapping
from urllib.parse import urlencode

# Masks: Envoy cannot leave out parts of list items, nor of a listener. Copies that start or drain are left out.
_LISTENERS = "name,active_state.listener,error_state"
_STATES = "name,active_state.last_updated,error_state.last_update_attempt,error_state.details"
_CLUSTERS = "cluster.name,cluster.transport_socket,cluster.transport_socket_matches"
_CLUSTERS_AND_PLACES = f"{_CLUSTERS},cluster.type,cluster.load_assignment"
_SECRETS = "name,secret.tls_certificate.certificate_chain,secret.validation_context.trusted_ca"

CREDENTIAL = "kubernetes://"
"""Istio's prefix of Secrets' names."""

_INBOUND = "virtualInbound"  # Istio's listener for all that a sidecar's workload receives

Parts = Mapping[str, str]
"""The parts of a dump, each with its path at Envoy's admin interface. By the `states`, the listeners are known to be as
they were.
"""


def gateway_parts(port: int) -> Parts:
    """Return the parts that decide over requests to a gateway.

    port: of its Pods, for TLS
    """
    return {
        **_listeners(rf".*_{port}"),
        "routes": _path("dynamic_route_configs", r"https\..*"),
        "clusters": _path("dynamic_active_clusters", r"outbound\|.*", _CLUSTERS),
        "secrets": _path("dynamic_active_secrets", rf"{CREDENTIAL}.*", _SECRETS),
    }


def whole_parts() -> Parts:
    """Return all parts that decide over requests to a gateway, for any host at any port."""
    return {
        **_listeners(".*"),
        "routes": _path("dynamic_route_configs", ".*"),
        "clusters": _path("dynamic_active_clusters", ".*", _CLUSTERS),
        "secrets": _path("dynamic_active_secrets", rf"{CREDENTIAL}.*", _SECRETS),
    }


def ways_out_parts(ports: Iterable[int], hosts: Iterable[str]) -> Parts:
    """Return the parts of a sidecar that decide where its caller's requests for hosts go, at all ports of theirs.

    hosts: those, and those to which routes lead
    """
    named = "|".join(map(re.escape, sorted(set(hosts))))
    numbers = "|".join(map(str, sorted(set(ports))))
    names = rf"outbound\|.*\|({named})"
    return {
        **_listeners(rf".*_({numbers})"),
        "routes": _path("dynamic_route_configs", r"(.*:)?80"),
        "clusters": _path("dynamic_active_clusters", names, _CLUSTERS_AND_PLACES),
        "endpoints": _path("dynamic_endpoint_configs", names) + "&include_eds",
    }


def credential_parts() -> Parts:
    """Return the parts that show whose credentials a proxy uses towards servers."""
    return {"clusters": _path("dynamic_active_clusters", ".*", _CLUSTERS)}


def workload_parts() -> Parts:
    """Return the parts of a sidecar that decide over requests to its workload."""
    return _listeners(_INBOUND)


def caller_parts(port: int, domains: Iterable[str]) -> Parts:
    """Return the parts of a sidecar that decide over requests of its caller.

    port: to which these go
    domains: parents of the hosts to which routes lead them
    """
    leads_to = "|".join(map(re.escape, sorted(domains)))
    return {
        "routes": _path("dynamic_route_configs", rf"(.*:)?{port}"),
        "clusters": _path("dynamic_active_clusters", rf"outbound\|.*\|[^|.]+\.({leads_to})", _CLUSTERS),
    }


def _listeners(names: str) -> Parts:
    return {part: _path("dynamic_listeners", names, mask) for part, mask in _LISTENER_PARTS.items()}


_LISTENER_PARTS = {"states": _STATES, "listeners": _LISTENERS}


def _path(resource: str, names: str, mask: str = "") -> str:
    """Return the path of resources, by a regular expression that their whole names match."""
    return "/config_dump?" + urlencode({"resource": resource, "name_regex": names} | ({"mask": mask} if mask else {}))
