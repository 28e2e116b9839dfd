"""Reads what one Envoy has from its config dump: https://www.envoyproxy.io/docs/envoy/latest/api-v3/admin/v3/config_dump.proto

Listeners, routes and upstreams are those that are in effect: neither what Envoy rejected, nor what it still waits with.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from proxies.filters import is_rbac, rewriting, writes_certificate
from proxies.matchers import CERTIFICATE_HEADER
from proxies.parts import CREDENTIAL
from proxies.policies import Rules, rules_of
from proxies.rbac import Rbac
from proxies.tls import Tls, within

_Json = Mapping[str, Any]

# https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/route/v3/route_components.proto#config-route-v3-routeaction
_CHOOSERS = ("cluster_header", "cluster_specifier_plugin", "inline_cluster_specifier_plugin")
_REWRITES = frozenset(
    {
        *("prefix_rewrite", "regex_rewrite", "path_rewrite_policy"),
        *("host_rewrite_literal", "host_rewrite_header", "host_rewrite_path_regex"),
    }
)


@dataclass(frozen=True)
class Chain:
    """What a listener does with connections for some server names.

    route: name of its route configuration; empty for a chain that decodes no HTTP, or that has routes of its own
    own_routes: such routes, by domain
    rbac: the filters that let requests through, or connections
    guards: the names of those for requests, by which routes may configure them otherwise
    forwards: the clusters to which it forwards connections, undecoded
    port: to which the connections go; None for any
    addresses: to which they go; none for any
    client_header: what becomes of X-Forwarded-Client-Cert, such as SANITIZE_SET; empty for Envoy's default
    keeps_dots: whether policies compare paths with their dot segments
    rewriting: names of the filters that may rewrite what the policies compare
    """

    server_names: frozenset[str]
    tls: Tls
    route: str
    own_routes: "Table" = field(repr=False, default_factory=dict)
    rbac: tuple[Rbac, ...] = ()
    guards: frozenset[str] = frozenset()
    forwards: frozenset[str] = frozenset()
    port: int | None = None
    addresses: tuple[str, ...] = ()
    client_header: str = ""
    keeps_dots: bool = False
    rewriting: tuple[str, ...] = ()
    _filters: tuple[_Json, ...] = field(repr=False, default=())

    @classmethod
    def parse(cls, chain: _Json) -> "Chain":
        """Return a filter chain."""
        filters, match = list(map(_config, chain.get("filters") or [])), within(chain, "filter_chain_match")
        manager = next(filter(_is_http, filters), {})
        enabled = [each for each in manager.get("http_filters") or [] if not each.get("disabled")]
        return cls(
            server_names=frozenset(match.get("server_names") or ()),
            tls=Tls.parse(chain),
            route=str(within(manager, "rds").get("route_config_name", "")),
            own_routes=_by_domain(within(manager, "route_config")),
            rbac=tuple(map(Rbac.parse, filter(is_rbac, (*filters, *map(_config, enabled))))),
            guards=frozenset(str(each.get("name", "")) for each in enabled if is_rbac(_config(each))),
            forwards=frozenset(name for each in filters if not _is_http(each) for name in _clusters(each)),
            port=match.get("destination_port"),
            addresses=tuple(str(each.get("address_prefix", "")) for each in match.get("prefix_ranges") or ()),
            client_header=str(manager.get("forward_client_cert_details", "")),
            keeps_dots=manager.get("normalize_path") is False,
            rewriting=tuple(rewriting(manager)),
            _filters=tuple(map(_config, manager.get("http_filters") or [])),
        )

    @property
    def decodes_http(self) -> bool:
        """Whether policies can judge requests, and not only connections."""
        return bool(self._filters)

    def is_left_out(self, target: "Target") -> bool:
        """Return whether a route configures a filter otherwise that lets requests through."""
        return any(name in self.guards or "rbac" in name for name in target.overrides)

    def rules(self, policy: str) -> Rules | None:
        """Return the rules of an AuthorizationPolicy, NAMESPACE/NAME, that requests must pass; None without it."""
        for each in self._filters:
            if is_rbac(each):
                found = rules_of(within(each, "rules").get("policies") or {}, policy)
                if found is not None:
                    return found
        return None

    def has_filter(self, config: _Json) -> bool:
        """Return whether requests must pass an HTTP filter with this configuration."""
        return config in self._filters


@dataclass(frozen=True)
class Listener:
    """A listener: its filter chains, and what Envoy said when it last rejected a change of it.

    default: the chain for connections that match no other
    """

    name: str
    port: int
    chains: tuple[Chain, ...]
    rejection: str = ""
    default: Chain | None = None

    @classmethod
    def parse(cls, listener: _Json) -> "Listener":
        """Return a dynamic listener."""
        active, error = within(listener, "active_state", "listener"), listener.get("error_state") or {}
        shown = active or error.get("failed_configuration") or {}
        return cls(
            name=str(listener.get("name") or shown.get("name", "")),
            port=int(within(shown, "address", "socket_address").get("port_value", 0)),
            chains=tuple(map(Chain.parse, active.get("filter_chains") or [])),
            rejection=str(error.get("details", "")),
            default=Chain.parse(active["default_filter_chain"]) if active.get("default_filter_chain") else None,
        )

    def taking(self, server_name: str) -> list[Chain]:
        """Return the chains that may take connections for a server name: the most specific ones for each destination.

        Which of them does depends on what is not known: the destination, the protocols that are offered, the client.
        """
        by_destination: dict[object, list[Chain]] = {}
        for each in self.chains:
            by_destination.setdefault((each.port, each.addresses), []).append(each)
        found = [each for chains in by_destination.values() for each in _most_specific(chains, server_name)]
        is_sure = any(not each.port and not each.addresses for each in found)
        return found if is_sure or self.default is None else [*found, self.default]


@dataclass(frozen=True)
class Target:
    """Where a route leads.

    made_by: path of the object that Istio made it of
    upstreams: names of clusters; none for an answer of the proxy itself
    match: which requests it takes
    status: of an answer of the proxy itself; None if the route leads on, or redirects
    mirrors: clusters that get a copy of each request
    overrides: the filters whose configuration it replaces
    redirects: whether it sends the client elsewhere
    rewrites: the fields by which it changes the path or the host of a request; X-Forwarded-Client-Cert, if it sets that
    """

    made_by: str
    upstreams: frozenset[str]
    match: _Json = field(repr=False, default_factory=dict)
    status: int | None = None
    mirrors: frozenset[str] = frozenset()
    overrides: frozenset[str] = frozenset()
    redirects: bool = False
    rewrites: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, route: _Json, *owners: _Json) -> "Target":
        """Return the target of a route, for which holds, too, what its clusters, its virtual host and its table set."""
        action = route.get("route") or {}
        parts = (*owners, route, *_weighted(action))
        written = {CERTIFICATE_HEADER} if any(map(writes_certificate, parts)) else set()
        copies = [each.get("cluster") for each in action.get("request_mirror_policies") or []]
        made_by = within(route, "metadata", "filter_metadata", "istio").get("config", "")
        return cls(
            str(made_by),
            frozenset(_clusters(action)),
            route.get("match") or {},
            within(route, "direct_response").get("status"),
            frozenset(filter(None, copies)),
            frozenset(name for each in parts for name in each.get("typed_per_filter_config") or {}),
            "redirect" in route,
            _REWRITES & action.keys() | written,
        )


Table = Mapping[str, tuple[Target, ...]]
"""The routes of a route configuration, by domain."""


@dataclass(frozen=True)
class Dump:
    """The config of one Envoy, as far as requests for hosts depend on it.

    routes: by route configuration and domain
    upstreams: the TLS to each cluster, by its name
    further: the TLS that some endpoints of a cluster get instead, by its name
    types: how each cluster finds its endpoints, such as EDS or ORIGINAL_DST, if that was asked for
    endpoints: the clusters that have some, if that was asked for
    secrets: the certificates, in base64, of the Secrets that it has received, by name; the CAs, by NAME-cacert
    """

    listeners: tuple[Listener, ...]
    routes: Mapping[str, Table]
    upstreams: Mapping[str, Tls]
    secrets: Mapping[str, str]
    types: Mapping[str, str] = field(default_factory=dict)
    endpoints: frozenset[str] = frozenset()
    further: Mapping[str, tuple[Tls, ...]] = field(default_factory=dict)

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
            types={str(each.get("name", "")): str(each.get("type", "STATIC")) for each in clusters},
            endpoints=frozenset(_with_endpoints(clusters, configs.get("endpoints", []))),
            further={str(each["name"]): found for each in clusters if (found := _matched_sockets(each))},
        )

    def sockets(self, upstream: str) -> tuple[Tls, ...]:
        """Return the TLS that connections to a cluster may have; none without such a cluster."""
        own = self.upstreams.get(upstream)
        return (own, *self.further.get(upstream, ())) if own else ()

    def chains(self, domain: str) -> Iterator[Chain]:
        """Yield the filter chains for a server name."""
        for listener in self.listeners:
            yield from (chain for chain in listener.chains if domain in chain.server_names)

    def rejections(self, port: int) -> list[tuple[str, str]]:
        """Return name and rejection of each listener of a port: Envoy says so of no other part of its config."""
        rejected = [each for each in self.listeners if each.rejection and each.port == port]
        # Envoy lists the rejection beside the listener, and once more without one.
        return list(dict.fromkeys((each.name, each.rejection) for each in rejected))


def virtual_host(table: Table, authority: str) -> tuple[Target, ...]:
    """Return the routes for a domain: those of the most specific virtual host; none without one."""
    return next((table[name] for name in _from_the_most_specific(authority) if name in table), table.get("*", ()))


def _most_specific(chains: list[Chain], server_name: str) -> list[Chain]:
    for name in _from_the_most_specific(server_name):
        if found := [each for each in chains if name in each.server_names]:
            return found
    return [each for each in chains if not each.server_names]


def _from_the_most_specific(domain: str) -> Iterator[str]:
    yield domain
    while "." in domain:
        domain = domain.partition(".")[2]
        yield f"*.{domain}"


def _matched_sockets(cluster: _Json) -> tuple[Tls, ...]:
    """Return the TLS of sockets for endpoints whose metadata match."""
    return tuple(map(Tls.parse, cluster.get("transport_socket_matches") or []))


def _with_endpoints(clusters: list[_Json], assignments: list[_Json]) -> Iterator[str]:
    """Yield the clusters with endpoints: of their own, by DNS, by EDS, or of the caller's choice."""
    for each in clusters:
        if each.get("type") == "ORIGINAL_DST" or _has_endpoints(each.get("load_assignment") or {}):
            yield str(each.get("name", ""))
    for each in assignments:
        assignment = each.get("endpoint_config") or {}
        if _has_endpoints(assignment):
            yield str(assignment.get("cluster_name", ""))


def _has_endpoints(assignment: _Json) -> bool:
    return any(each.get("lb_endpoints") for each in assignment.get("endpoints") or [])


def _clusters(action: _Json) -> Iterator[str]:
    """Yield the clusters to which a route, or a filter that decodes nothing, leads."""
    if name := action.get("cluster"):
        yield str(name)
    for each in _weighted(action):
        yield str(each.get("name", ""))
    yield from (f"the cluster of {field}" for field in _CHOOSERS if field in action)


def _weighted(action: _Json) -> list[_Json]:
    return within(action, "weighted_clusters").get("clusters") or []


def _by_domain(table: _Json) -> dict[str, tuple[Target, ...]]:
    return {
        str(domain): tuple(Target.parse(each, host, table) for each in host.get("routes") or [])
        for host in table.get("virtual_hosts") or []
        for domain in host.get("domains") or []
    }


def _certificates(secret: _Json) -> tuple[str, str]:
    chain = within(secret, "secret", "tls_certificate", "certificate_chain")
    trusted = within(secret, "secret", "validation_context", "trusted_ca")
    name = str(secret.get("name", "")).removeprefix(CREDENTIAL)
    return name, str((chain or trusted).get("inline_bytes", ""))


def _config(item: _Json) -> _Json:
    return item.get("typed_config") or {}


def _is_http(config: _Json) -> bool:
    return "http_filters" in config
