"""JSON documents of verifications, of stacks of any size."""

from collections import Counter
from typing import Any

RUN: dict[str, Any] = {
    "began": "2026-11-29T07:20:00Z",
    "seconds": 24.1,
    "commit": {"tree": "5bbde904f2b3cb2289d7b6570dcb4f808c627e4a-dirty", "ci": None},
    "versions": {"outputs": "1.0", "python": "3.11.2", "tls": "OpenSSL 3.0.17"},
    "options": {"readOnly": False, "hosts": [], "clients": [], "only": [], "timeout": 120},
}


def check(group: str, promise: str, verdict: str = "passed", **more: Any) -> dict[str, Any]:
    """Return a check as the document has it."""
    seen = {"passed": "403", "failed": "GET / got 200\nof the workload", "skipped": "the callers are your own Pods"}
    return {
        "group": group,
        "host": None,
        "client": None,
        "promise": promise,
        "verdict": verdict,
        "expected": None if verdict == "skipped" else "a TLS alert in both TLS 1.2 and 1.3",
        "seen": seen.get(verdict, "the API server answered 503"),
        "look": "target cluster: kubectl -n istio-system get authorizationpolicies; istioctl x authz check",
        "seconds": 0.3,
        **more,
    }


def document(hosts: int = 1, clients: int = 1, *, broken: bool = False, **more: Any) -> dict[str, Any]:
    """Return the document of a stack with this many hosts and clients.

    Every third client is not admitted. In a stack of several, the last host and the last client are a partner's, and
    one client is away.
    """
    named = {f"host-{at}": _host(at, partner=at == hosts - 1 > 0) for at in range(hosts)}
    callers = {
        f"client-{at}": _client(at, partner=at == clients - 1 > 0, away=at == clients - 2 > 0) for at in range(clients)
    }
    ways = [{"client": client, "host": host} for host in named for at, client in enumerate(callers) if at % 3 != 1]
    checks = [*_of_hosts(named, callers, ways), *_of_clients(callers, ways)]
    checks += [check("Kyma gateway", "the Kyma gateway redirects port 80 to 443")]
    checks += [check("clusters", "the target cluster has exactly the stack's objects")]
    if broken:
        _break(checks)
    totals = Counter(each["verdict"] for each in checks)
    return {
        "stack": "prod",
        "hosts": named,
        "clients": callers,
        "ways": ways,
        "certificates": _certificates(named, callers),
        **RUN,
        "promises": len(checks),
        "ended": None,
        "exitCode": int(broken),
        "checks": checks,
        "totals": {each: totals[each] for each in ("passed", "failed", "skipped", "error")},
        "left": [],
        **more,
    }


def _break(checks: list[dict[str, Any]]) -> None:
    between = [each for each in checks if each["host"] and each["client"] and each["verdict"] == "passed"]
    alone = [each for each in checks if not each["client"]]
    changed = zip((between[0], between[-1], alone[1], alone[2]), ("failed", "error", "failed", "error"), strict=True)
    for each, verdict in changed:
        each.update(check(each["group"], each["promise"], verdict, host=each["host"], client=each["client"]))


def _host(at: int, *, partner: bool) -> dict[str, Any]:
    gateway = None if partner else "istio-system/istio-ingressgateway"
    return {"domain": f"orders-and-invoices-{at}.shop.example.com", "partner": partner, "gateway": gateway}


def _client(at: int, *, partner: bool, away: bool) -> dict[str, Any]:
    gateway = None if partner else "istio-system/istio-egressgateway"
    callers = [] if partner else ["mtls/curl"]
    identity = f"spiffe://kyma-mtls/prod/client/client-{at}"
    return {"identity": identity, "partner": partner, "away": away, "gateway": gateway, "callers": callers}


def _of_hosts(hosts: Any, clients: Any, ways: list[dict[str, str]]) -> list[dict[str, Any]]:
    found = []
    for host, described in hosts.items():
        if described["partner"]:
            continue
        group = f"host {host} ({described['domain']})"
        for promise in ("a connection without a client certificate", "an expired certificate", "TLS 1.1"):
            found.append(check(group, f"{promise} is refused", host=host))
        for client, about in clients.items():
            is_admitted = {"client": client, "host": host} in ways
            promise = f"client {client} is {'admitted' if is_admitted else 'refused'}"
            if not about["partner"] and not about["away"]:
                found.append(check(group, promise, host=host, client=client))
    return found


def _of_clients(clients: Any, ways: list[dict[str, str]]) -> list[dict[str, Any]]:
    found = []
    for client, about in clients.items():
        group = f"client {client}"
        if about["partner"] or about["away"]:
            reason = "only the partner has its key" if about["partner"] else "its cluster is away"
            found.append(check(group, "the client reaches its hosts", "skipped", client=client, seen=reason))
            continue
        for way in (each for each in ways if each["client"] == client):
            promise = f"plain HTTP to {way['host']} leaves through the egress gateway"
            found.append(check(group, promise, "skipped", **way))
        found.append(check(group, "the demo's Pods have a sidecar", client=client))
    return found


def _certificates(hosts: Any, clients: Any) -> list[dict[str, str]]:
    lines = [{"path": "generation", "of": "the CA of the stack's hosts and clients", "ends": "2031-01-01T00:00:00Z"}]
    for kind, names in (("hosts", hosts), ("clients", clients)):
        for at, name in enumerate(names):
            ends = f"2026-{11 + at % 2}-{20 + at % 10}T00:00:00Z"
            lines.append({"path": f"{kind}.{name}", "of": f"{kind[:-1]} {name}", "ends": ends})
    return sorted(lines, key=lambda each: (each["ends"], each["path"]))
