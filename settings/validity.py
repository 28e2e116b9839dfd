"""Certificates of the config that are not valid at this time: told of, and in the way of nothing.

Whoever checks them refuses them anyway, and a `pulumi up` renews the certificates of everybody else.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING

from settings.certificates import date_problems, read

if TYPE_CHECKING:
    from settings.stack import Settings

Problems = Iterator[tuple[str, str]]


def problems(settings: Settings) -> Problems:
    """Tell which are not or no longer valid, each with its path."""
    for name, client in settings.clients.items():
        yield from _of_authorities(f"clients.{name}.certificateAuthority", client.certificate_authority)
    for name, host in settings.hosts.items():
        if external := host.external:
            place = f"hosts.{name}.external"
            yield from _of_authorities(f"{place}.certificateAuthority", external.certificate_authority)
            for client_name, credential in external.credentials.items():
                yield from _of_chain(f"{place}.credentials.{client_name}.certificate", credential.certificate)
    yield from _of_chain("gatewayCertificate", settings.gateway.certificate)


def _of_authorities(place: str, pem: str) -> Problems:
    """One valid CA is enough: an old one may stay beside the next."""
    told = [list(date_problems([each])) for each in read(pem)] if pem else []
    if all(told):
        yield from ((place, problem) for problem in chain(*told))


def _of_chain(place: str, pem: str) -> Problems:
    if pem:
        yield from ((place, problem) for problem in date_problems(read(pem)))
