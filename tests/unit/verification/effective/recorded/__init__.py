"""What Envoys of the lab's stack `broken` had, by the parts of the dump: Istio 1.31, without what is not read.

Its host `first`, one.broken.target.test, admits client `client` to GET /headers; its host `second` admits nobody.

ingress, egress: the gateways
caller, workload: the sidecars of the demo's curl and httpbin
beside: the ingress gateway of the client's cluster
"""

import json
from pathlib import Path
from typing import Any

from proxies.dump import Dump

FIRST, SECOND = "one.broken.target.test", "two.broken.target.test"


def recorded(name: str) -> dict[str, Any]:
    """Return a recording, a new copy each time."""
    found: dict[str, Any] = json.loads((Path(__file__).parent / f"{name}.json").read_text())
    return found


def changed(name: str, old: str = "", new: str = "", *, everywhere: bool = False) -> Dump:
    """Return a recorded dump, in the JSON of which the first such text is replaced, or each."""
    text = json.dumps(recorded(name))
    assert old in text, "the recording has it"
    return Dump.parse(json.loads(text.replace(old, new, -1 if everywhere else 1)))


def with_http_filter(name: str, config: dict[str, Any], place: int = 0) -> Dump:
    """Return a recorded dump with a further filter in each chain that decodes HTTP.

    place: among the HTTP filters; the recorded one for policies is first
    """
    parts = recorded(name)
    chains = parts["listeners"]["configs"][0]["active_state"]["listener"]["filter_chains"]
    for manager in (each["typed_config"] for chain in chains for each in chain["filters"]):
        if "http_filters" in manager:
            manager["http_filters"].insert(place, config)
    return Dump.parse(parts)


def with_socket(name: str, upstream: str, old: str = "", new: str = "", *, plain: bool = False) -> Dump:
    """Return a recorded dump in which some endpoints of a cluster get a copy of its TLS, changed, or none."""
    parts = recorded(name)
    for cluster in (each["cluster"] for each in parts["clusters"]["configs"]):
        if cluster["name"] == upstream:
            text = json.dumps(cluster["transport_socket"])
            assert old in text, "the recording has it"
            socket = {"name": "raw"} if plain else json.loads(text.replace(old, new))
            cluster["transport_socket_matches"] = [{"name": "a", "match": {"a": "b"}, "transport_socket": socket}]
    return Dump.parse(parts)


def without_policies(name: str) -> Dump:
    """Return a recorded dump in which no chain has a filter for policies."""
    text = json.dumps(recorded(name))
    for kind in ("http", "network"):
        text = text.replace(f"envoy.extensions.filters.{kind}.rbac.v3.RBAC", "envoy.extensions.filters.others")
    return Dump.parse(json.loads(text))


def beside(name: str, old: str = "", new: str = "") -> Dump:
    """Return a recorded, changed dump with a server of others beside: at port 9443, for any domain, to any client."""
    parts = json.loads(json.dumps(recorded(name)).replace(old, new))
    listener = parts["listeners"]["configs"][0]
    text = json.dumps({**listener, "name": "0.0.0.0_9443"}).replace('"port_value": 8443', '"port_value": 9443')
    further = json.loads(text.replace('"require_client_certificate": true', '"require_client_certificate": false'))
    chains = further["active_state"]["listener"]["filter_chains"]
    del chains[1:]
    chains[0].pop("filter_chain_match")
    chains[0]["filters"][0]["typed_config"]["rds"]["route_config_name"] = "https.9443.https.others.other"
    parts["listeners"]["configs"].append(further)
    return Dump.parse(parts)
