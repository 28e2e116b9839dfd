"""Answers of gateways and services, and how curl prints them."""

import json

from tests.unit.deployed import IDENTITY, SUBJECT
from verification.answers import RBAC, Answer
from verification.pods import Executed

UPSTREAM = {"x-envoy-upstream-service-time": "1"}
MESH_HOP = 'By=spiffe://cluster.local/x;Hash=2;Subject="";URI=spiffe://cluster.local/ns/istio-system/sa/gateway'
CLIENT_HOP = f'Hash=1;Cert="-----";Subject="{SUBJECT}";URI={IDENTITY};DNS=a'


def shown(*hops: str) -> str:
    """Return the body by which httpbin shows these hops of X-Forwarded-Client-Cert."""
    return json.dumps({"headers": {"X-Forwarded-Client-Cert": [",".join(hops)]}})


def printed(answer: Answer) -> Executed:
    """Return a run of `curl -i` that got this answer."""
    headers = "".join(f"{name}: {value}\r\n" for name, value in answer.headers.items())
    return Executed(0, f"HTTP/1.1 {answer.status} x\r\n{headers}\r\n{answer.body}", "")


OK = Answer(200, UPSTREAM, shown(CLIENT_HOP, MESH_HOP))
SERVED = Answer(200, UPSTREAM, shown(f'Hash=1;Subject="{SUBJECT}";URI={IDENTITY}'))
"""Of a client without a mesh; as short as failures quote it."""
DENIED, NO_ROUTE = Answer(403, {}, RBAC), Answer(404, {}, "")
UNREACHED = Answer(503, {}, "upstream connect error or disconnect/reset before headers")
REFUSED, RESET, TIMED_OUT = Executed(7, "", ""), Executed(56, "", "reset"), Executed(28, "", "timed out")
