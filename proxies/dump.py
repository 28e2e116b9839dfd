"""Reads what one Envoy has from its config dump: https://www.envoyproxy.io/docs/envoy/latest/api-v3/admin/v3/config_dump.proto

Listeners, routes and upstreams are those that are in effect: neither what Envoy rejected, nor what it still waits with.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from proxies.policies import Rules, rules_of

# Masks: Envoy cannot leave out parts of list items, nor of a listener. Copies that start or drain are left out.
_LISTENERS = "name,active_state.listener,error_state"
_STATES = "name,active_state.last_updated,error_state.last_update_attempt,error_state.details"
_CLUSTERS = "cluster.name,cluster.transport_socket"
_SECRETS = "name,secret.tls_certificate.certificate_chain,secret.validation_context.trusted_ca"

_INBOUND = "virtualInbound"  # Istio's listener for all that a sidecar's workload receives
_CREDENTIAL = "kubernetes://"  # Istio's prefix of Secrets' names
_Json = Mapping[str, Any]

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
        "secrets": _path("dynamic_active_secrets", rf"{_CREDENTIAL}.*", _SECRETS),
    }


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


@dataclass(frozen=True)
class Tls:
    """The TLS of a filter chain, or of the connections to an upstream.

    secret: name of the Secret with the certificate; `default` for that of the mesh
    asks_for_certificate: whether clients must show one
    sni: the name that is asked for
    names: alternative names one of which the server must have
    """

    secret: str = ""
    asks_for_certificate: bool = False
    sni: str = ""
    names: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, owner: _Json) -> "Tls":
        """Return the TLS of a filter chain, or of a cluster; an empty one for plain text."""
        socket = _in(owner, "transport_socket", "typed_config")
        common = socket.get("common_tls_context") or {}
        secrets = common.get("tls_certificate_sds_secret_configs") or [{}]
        validation = _in(common, "combined_validation_context", "default_validation_context")
        names = validation.get("match_subject_alt_names") or validation.get("match_typed_subject_alt_names") or []
        return cls(
            secret=str(secrets[0].get("name", "")).removeprefix(_CREDENTIAL),
            asks_for_certificate=bool(socket.get("require_client_certificate")),
            sni=str(socket.get("sni", "")),
            names=frozenset(str((each.get("matcher") or each).get("exact", "")) for each in names),
        )


@dataclass(frozen=True)
class Chain:
    """What a listener does with connections for some server names.

    route: name of its route configuration; empty for a chain that decodes no HTTP
    """

    server_names: frozenset[str]
    tls: Tls
    route: str
    _filters: tuple[_Json, ...] = field(repr=False, default=())

    @classmethod
    def parse(cls, chain: _Json) -> "Chain":
        """Return a filter chain."""
        manager = next(filter(_is_http, map(_config, chain.get("filters") or [])), {})
        return cls(
            server_names=frozenset(_in(chain, "filter_chain_match").get("server_names") or ()),
            tls=Tls.parse(chain),
            route=str(_in(manager, "rds").get("route_config_name", "")),
            _filters=tuple(map(_config, manager.get("http_filters") or [])),
        )

    @property
    def decodes_http(self) -> bool:
        """Whether policies can judge requests, and not only connections."""
        return bool(self._filters)

    def rules(self, policy: str) -> Rules | None:
        """Return the rules of an AuthorizationPolicy, NAMESPACE/NAME, that requests must pass; None without it."""
        for each in self._filters:
            if str(each.get("@type", "")).endswith(".rbac.v3.RBAC"):
                found = rules_of(_in(each, "rules").get("policies") or {}, policy)
                if found is not None:
                    return found
        return None

    def has_filter(self, config: _Json) -> bool:
        """Return whether requests must pass an HTTP filter with this configuration."""
        return config in self._filters


@dataclass(frozen=True)
class Listener:
    """A listener: its filter chains, and what Envoy said when it last rejected a change of it."""

    name: str
    port: int
    chains: tuple[Chain, ...]
    rejection: str = ""

    @classmethod
    def parse(cls, listener: _Json) -> "Listener":
        """Return a dynamic listener."""
        active, error = _in(listener, "active_state", "listener"), listener.get("error_state") or {}
        shown = active or error.get("failed_configuration") or {}
        return cls(
            name=str(listener.get("name") or shown.get("name", "")),
            port=int(_in(shown, "address", "socket_address").get("port_value", 0)),
            chains=tuple(map(Chain.parse, active.get("filter_chains") or [])),
            rejection=str(error.get("details", "")),
        )


@dataclass(frozen=True)
class Target:
    """Where a route leads.

    made_by: path of the object that Istio made it of
    upstreams: names of clusters; none for an answer of the proxy itself
    """

    made_by: str
    upstreams: frozenset[str]

    @classmethod
    def parse(cls, route: _Json) -> "Target":
        """Return the target of a route."""
        action = route.get("route") or {}
        weighted = _in(action, "weighted_clusters").get("clusters") or []
        names = [action.get("cluster"), *(each.get("name") for each in weighted)]
        made_by = _in(route, "metadata", "filter_metadata", "istio").get("config", "")
        return cls(str(made_by), frozenset(filter(None, names)))


@dataclass(frozen=True)
class Dump:
    """The config of one Envoy, as far as requests for hosts depend on it.

    routes: by route configuration and domain
    upstreams: the TLS to each cluster, by its name
    secrets: the certificates, in base64, of the Secrets that it has received, by name; the CAs, by NAME-cacert
    """

    listeners: tuple[Listener, ...]
    routes: Mapping[str, Mapping[str, tuple[Target, ...]]]
    upstreams: Mapping[str, Tls]
    secrets: Mapping[str, str]

    @classmethod
    def parse(cls, parts: Mapping[str, _Json]) -> "Dump":
        """Return what the answers to parts say; of parts that were not asked for, nothing."""
        configs = {part: [each for each in answer.get("configs") or [] if each] for part, answer in parts.items()}
        tables = [each.get("route_config") or {} for each in configs.get("routes", [])]
        clusters = [each.get("cluster") or {} for each in configs.get("clusters", [])]
        return cls(
            listeners=tuple(map(Listener.parse, configs.get("listeners", []))),
            routes={str(table.get("name", "")): _by_domain(table) for table in tables},
            upstreams={str(each.get("name", "")): Tls.parse(each) for each in clusters},
            secrets=dict(map(_certificates, configs.get("secrets", []))),
        )

    def chains(self, domain: str) -> Iterator[Chain]:
        """Yield the filter chains for a server name."""
        for listener in self.listeners:
            yield from (chain for chain in listener.chains if domain in chain.server_names)

    def rejections(self, port: int) -> list[tuple[str, str]]:
        """Return name and rejection of each listener of a port."""
        rejected = [each for each in self.listeners if each.rejection and each.port == port]
        # Envoy lists the rejection beside the listener, and once more without one.
        return list(dict.fromkeys((each.name, each.rejection) for each in rejected))


def _by_domain(table: _Json) -> dict[str, tuple[Target, ...]]:
    return {
        str(domain): tuple(map(Target.parse, host.get("routes") or []))
        for host in table.get("virtual_hosts") or []
        for domain in host.get("domains") or []
    }


def _certificates(secret: _Json) -> tuple[str, str]:
    chain = _in(secret, "secret", "tls_certificate", "certificate_chain")
    trusted = _in(secret, "secret", "validation_context", "trusted_ca")
    name = str(secret.get("name", "")).removeprefix(_CREDENTIAL)
    return name, str((chain or trusted).get("inline_bytes", ""))


def _config(item: _Json) -> _Json:
    return item.get("typed_config") or {}


def _is_http(config: _Json) -> bool:
    return "http_filters" in config


def _in(found: _Json, *path: str) -> _Json:
    """Return the object at a path of fields; an empty one if there is none."""
    for name in path:
        found = found.get(name) or {}
    return found
