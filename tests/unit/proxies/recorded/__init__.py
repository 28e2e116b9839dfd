"""Objects of the lab's stack `many`, and what the gateways' Envoys had of them: Istio 1.31, without what is not read.

ingress, egress: the objects of two hosts, and the parts of the gateway's dump
caller, workload: of the stack `proxies`, Pods, and the parts of the sidecar's dump; of the caller, objects of its hosts
rejected_listener: a dump of the listeners, one of which Envoy has rejected, with two filter chains for one server name
"""

import json
from pathlib import Path
from typing import Any

from components.istio_gateway import DOCUMENTED_EGRESS, DOCUMENTED_INGRESS

GATEWAYS = {"ingress": DOCUMENTED_INGRESS, "egress": DOCUMENTED_EGRESS}
REJECTION = (
    "error adding listener '127.0.0.1:18443': filter chain '' has the same matching rules defined as ''. duplicate "
    'matcher is: {"server_names":["a.test"]}'
)


def recorded(name: str) -> dict[str, Any]:
    """Return a recording, a new copy each time."""
    found: dict[str, Any] = json.loads((Path(__file__).parent / f"{name}.json").read_text())
    return found


def one(found: dict[str, Any], kind: str, name: str) -> dict[str, Any]:
    """Return the only recorded object of a kind with this name, to be changed."""
    (item,) = (each for each in found["objects"] if (each["kind"], each["metadata"]["name"]) == (kind, name))
    return dict(item)
