"""Who a client is to the hosts that it calls."""

from settings import PROJECT, Settings


def identities(settings: Settings, stack: str) -> dict[str, str]:
    """Return the identity of each client: the one that a partner names, or a SPIFFE ID of the stack's own."""
    return {
        name: client.identity if client.is_partner else f"spiffe://{PROJECT}/{stack}/client/{name}"
        for name, client in settings.clients.items()
    }
