"""The ends of a stack's certificates, as its outputs, its state and its config have them."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from settings import certificate_checks, validity
from verification.stack import DeployedStack

_OWN = "gatewayCertificate"


def certificates(stack: DeployedStack) -> list[dict[str, str]]:
    """Return path, meaning and end of each certificate, in the order of their ends.

    path: in the config, or the resource in the state
    """
    found = {tuple(each.items()): each for each in (*_issued(stack), *_of_kyma_gateway(stack), *_given(stack))}
    return sorted(found.values(), key=lambda each: (each["ends"], each["path"]))


def _issued(stack: DeployedStack) -> Iterator[dict[str, str]]:
    outputs = stack.outputs
    yield _line("generation", "the CA of the stack's hosts and clients", datetime.fromisoformat(outputs.ca_expiry))
    for each in certificate_checks.read(outputs.ca_certificate)[1:]:
        yield _line("trustedGenerations", "a CA that is trusted, too", each.not_valid_after_utc)
    for name, host in outputs.hosts.items():
        if host.expiry:
            yield _line(f"hosts.{name}", f"host {name}, for {host.domain}", datetime.fromisoformat(host.expiry))
    for name, client in outputs.clients.items():
        if client.expiry:
            meaning = f"client {name}, as {client.identity}"
            yield _line(f"clients.{name}", meaning, datetime.fromisoformat(client.expiry))


def _of_kyma_gateway(stack: DeployedStack) -> Iterator[dict[str, str]]:
    if not stack.outputs.gateway:
        return
    for each in certificate_checks.read(stack.outputs.gateway.ca_certificate):
        yield _line("gatewayMode", "the CA of the Kyma gateway, for its clients to trust", each.not_valid_after_utc)
    for name, end in stack.state.gateway_certificates:
        yield _line(name, "the Kyma gateway, of the stack's own CA", datetime.fromisoformat(end))


def _given(stack: DeployedStack) -> Iterator[dict[str, str]]:
    """Yield the certificates of the config: of a list of CAs each, of a chain the one that ends first."""
    for path, pem, is_authorities in validity.given(stack.settings):
        ends = [each.not_valid_after_utc for each in certificate_checks.read(pem)]
        if is_authorities:
            yield from (_line(path, "a partner's CA", end) for end in ends)
        else:
            meaning = "the Kyma gateway, as given" if path == _OWN else "a client, signed by a partner"
            yield _line(path, meaning, min(ends))


def _line(path: str, meaning: str, end: datetime) -> dict[str, Any]:
    return {"path": path, "of": meaning, "ends": f"{end.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"}
