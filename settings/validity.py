"""Certificates of the config that are not valid at this time: told of, and in the way of nothing.

Whoever checks them refuses them anyway, and a `pulumi up` renews the certificates of everybody else.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from settings.certificates import date_problems, read

if TYPE_CHECKING:
    from settings.stack import Settings

Problems = Iterator[tuple[str, str]]


class Given(NamedTuple):
    """A certificate of the config, followed by those that signed it; of authorities, one valid CA is enough."""

    path: str
    pem: str
    is_authorities: bool = False


def given(settings: Settings) -> Iterator[Given]:
    """Yield all certificates that the config has; an old CA may stay beside the next."""
    for name, client in settings.clients.items():
        if client.certificate_authority:
            yield Given(f"clients.{name}.certificateAuthority", client.certificate_authority, True)
    for name, host in settings.hosts.items():
        if external := host.external:
            place = f"hosts.{name}.external"
            yield Given(f"{place}.certificateAuthority", external.certificate_authority, True)
            for client_name, credential in external.credentials.items():
                yield Given(f"{place}.credentials.{client_name}.certificate", credential.certificate)
    if settings.gateway.certificate:
        yield Given("gatewayCertificate", settings.gateway.certificate)


def problems(settings: Settings) -> Problems:
    """Tell which are not or no longer valid, each with its path."""
    for path, pem, is_authorities in given(settings):
        told = [list(date_problems([each])) for each in read(pem)]
        if not is_authorities or all(told):
            yield from ((path, problem) for problem in chain(*told))
