"""The facts of a stack that its JSON document has beside the verdicts: hosts, clients, ways, and certificates."""

from typing import Any

from verification.evidence.certificates import certificates
from verification.stack import DeployedStack


def facts(stack: DeployedStack) -> dict[str, Any]:
    """Return the hosts and clients by name, the way of each client to each host that admits it, and certificates."""
    return {
        "stack": stack.name,
        "hosts": _hosts(stack),
        "clients": _clients(stack),
        "ways": [
            {"client": client, "host": host}
            for host in stack.settings.hosts
            for client in stack.settings.admitted(host)
        ],
        "certificates": certificates(stack),
    }


def _hosts(stack: DeployedStack) -> dict[str, dict[str, Any]]:
    target = stack.outputs.target
    return {
        name: {
            "domain": host.domain,
            "partner": host.external,
            "gateway": target.ingress_gateway if target and not host.external else None,
        }
        for name, host in stack.outputs.hosts.items()
    }


def _clients(stack: DeployedStack) -> dict[str, dict[str, Any]]:
    return {
        name: {
            "identity": client.identity,
            "partner": stack.settings.clients[name].is_partner,
            "away": name in stack.settings.away,
            "gateway": client.egress_gateway or None,
            "callers": list(client.callers),
        }
        for name, client in stack.outputs.clients.items()
    }
