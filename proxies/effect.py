"""Compares each object of a stack with what a proxy's Envoy has: is it in effect there?

How Istio names what it makes of objects: https://github.com/istio/istio/blob/master/pilot/pkg/model/gateway.go
(route configurations of servers), pilot/pkg/model/context.go (clusters).
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from clusters.routes import MESH, Route
from components.istio_gateway import IstioGateway
from components.readiness import called
from proxies.dump import Chain, Dump
from proxies.policies import rules_for
from proxies.tls import Tls

_Object = Mapping[str, Any]


def lacking(objects: Iterable[_Object], gateway: IstioGateway, dump: Dump) -> Iterator[str]:
    """Yield what a replica of a gateway does not have of these objects, each as `no …`, for messages.

    objects: as the cluster has them; Gateways, Secrets, VirtualServices, DestinationRules, AuthorizationPolicies and
        the HTTP filters of EnvoyFilters are compared
    """
    for item in objects:
        spec = item.get("spec") or {}
        match item["kind"]:
            case "Gateway" if _is_for(gateway, spec.get("selector")):
                yield from _servers(item, dump)
            case "AuthorizationPolicy" if item["metadata"]["namespace"] == gateway.namespace:
                yield from _policy(item, dump)
            case "EnvoyFilter" if item["metadata"]["namespace"] == gateway.namespace:
                yield from _http_filters(item, dump)
            case "Secret" if item["metadata"]["namespace"] == gateway.namespace:
                yield from _certificates(item, dump)
            case "VirtualService":
                yield from _routes(item, dump)
            case "DestinationRule" if _is_for(gateway, (spec.get("workloadSelector") or {}).get("matchLabels")):
                yield from _origination(spec, dump)


def _is_for(gateway: IstioGateway, labels: Mapping[str, str] | None) -> bool:
    return bool(labels) and (labels or {}).items() <= gateway.labels.items()


def domains(objects: Iterable[_Object]) -> set[str]:
    """Return the hosts that the Gateways among these objects serve."""
    gateways = [each for each in objects if each["kind"] == "Gateway"]
    servers = [server for each in gateways for server in each["spec"].get("servers") or []]
    return {host.rpartition("/")[2] for server in servers for host in server.get("hosts") or []}


def _servers(item: _Object, dump: Dump) -> Iterator[str]:
    place = item["metadata"]
    for server in item["spec"].get("servers") or []:
        tls, port = server.get("tls"), server["port"]
        if not tls:
            continue
        table = f"https.{port['number']}.{port['name']}.{place['name']}.{place['namespace']}"
        for host in server["hosts"]:
            domain = host.rpartition("/")[2]
            chain = next((each for each in dump.chains(domain) if each.route == table), None)
            yield from _server(domain, tls, chain, dump)
            if not dump.routes.get(table, {}).get(domain):
                yield f"no route for {domain}"


def _server(domain: str, tls: Mapping[str, Any], chain: Chain | None, dump: Dump) -> Iterator[str]:
    if chain is None:
        present = ", ".join(sorted(each.route for each in dump.chains(domain)))
        yield f"no filter chain for {domain} of this Gateway" + (f", but {present}" if present else "")
        return
    if "MUTUAL" in tls.get("mode", "") and not chain.tls.asks_for_certificate:
        yield f"no demand for client certificates of {domain}"
    if tls.get("credentialName"):
        yield from _credential(f"filter chain for {domain}", tls, chain.tls, dump)


def _credential(where: str, wanted: Mapping[str, Any], tls: Tls, dump: Dump) -> Iterator[str]:
    secret = wanted["credentialName"]
    needed = {secret, f"{secret}-cacert"} if wanted.get("mode") == "MUTUAL" else {secret}
    if tls.secret != secret:
        yield f"no credential {secret} in the {where}, but {tls.secret or 'none'}"
    elif not needed <= dump.secrets.keys():
        yield f"no certificates of Secret {secret} yet"


def _certificates(item: _Object, dump: Dump) -> Iterator[str]:
    """Compare the content of a Secret that a replica has: of one name, it may be from before a renewal."""
    name, data = item["metadata"]["name"], item.get("data") or {}
    for received, keys in ((name, ("cert", "tls.crt")), (f"{name}-cacert", ("cacert", "ca.crt"))):
        wanted = next((data[key] for key in keys if key in data), None)
        if wanted and dump.secrets.get(received, wanted) != wanted:
            yield f"no certificates of Secret {name} as they are now"


def _policy(item: _Object, dump: Dump) -> Iterator[str]:
    spec, place = item["spec"], item["metadata"]
    named, wanted = f"{place['namespace']}/{place['name']}", rules_for(item["spec"])
    operations = [to.get("operation") or {} for rule in spec.get("rules") or [] for to in rule.get("to") or []]
    for domain in dict.fromkeys(host for operation in operations for host in operation.get("hosts") or []):
        for chain in dump.chains(domain):
            if chain.rules(named) != wanted:
                yield f"no {called(item['kind'], place['namespace'], place['name'])} as it is now"


def _http_filters(item: _Object, dump: Dump) -> Iterator[str]:
    place = item["metadata"]
    for each in item["spec"].get("configPatches") or []:
        if each["applyTo"] == "HTTP_FILTER":
            config = each["patch"]["value"]["typed_config"]
            for chain in dump.chains(each["match"]["listener"]["filterChain"]["sni"]):
                if not chain.has_filter(config):
                    yield f"no {called(item['kind'], place['namespace'], place['name'])} as it is now"


def _routes(item: _Object, dump: Dump) -> Iterator[str]:
    route = Route("VirtualService", item["metadata"], item["spec"])
    made_by = f"/namespaces/{route.place.namespace}/virtual-service/{route.place.name}"
    wanted = {name for rule in item["spec"].get("http") or [] for name in upstreams(rule)}
    for gateway in route.gateways - {MESH}:
        namespace, _, name = gateway.partition("/")
        tables = [hosts for table, hosts in dump.routes.items() if table.endswith(f".{name}.{namespace}")]
        for domain in route.hosts:
            targets = [each for hosts in tables for each in hosts.get(domain, ()) if each.made_by.endswith(made_by)]
            reached = {name for target in targets for name in target.upstreams}
            if not targets or not wanted <= reached:
                yield f"no route for {domain} by VirtualService {route.place} as it is now"


def upstreams(rule: Mapping[str, Any]) -> Iterator[str]:
    """Yield the clusters to which an HTTP rule of a VirtualService leads requests, unless it is for sidecars alone."""
    matches = [each.get("gateways") for each in rule.get("match") or []]
    if matches and all(gateways == [MESH] for gateways in matches):
        return
    for each in rule.get("route") or []:
        to = each["destination"]
        if port := (to.get("port") or {}).get("number"):
            yield f"outbound|{port}|{to.get('subset', '')}|{to['host']}"


def _origination(spec: Mapping[str, Any], dump: Dump) -> Iterator[str]:
    policy = spec.get("trafficPolicy") or {}
    for each in policy.get("portLevelSettings") or []:
        tls = each.get("tls") or {}
        if not tls.get("credentialName"):
            continue
        name = f"outbound|{each['port']['number']}||{spec['host']}"
        upstream = dump.upstreams.get(name)
        if upstream is None:
            yield f"no cluster {name}"
            continue
        yield from _credential(f"cluster {name}", tls, upstream, dump)
        if (upstream.sni, upstream.names) != (tls.get("sni", ""), frozenset(tls.get("subjectAltNames") or ())):
            yield f"no server name and alternative names as they are now in the cluster {name}"
