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
