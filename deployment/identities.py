"""Identities of clients: what their certificates prove to the hosts that they call."""

from settings import PROJECT, Settings


def identities(settings: Settings, stack: str) -> dict[str, str]:
    """Return the identity of each client by name: a partner's from the config, or a SPIFFE URI of the stack's own."""
    return {
        name: client.identity if client.is_partner else f"spiffe://{PROJECT}/{stack}/client/{name}"
        for name, client in settings.clients.items()
    }
