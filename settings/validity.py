"""Certificates of the config that are expired or not valid yet: reported as warnings; never blocking.

Peers refuse such a certificate anyway, while `pulumi up` must renew the stack's own certificates.
"""

from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

from settings import authorities
from settings.certificate_checks import date_problems, read
from settings.problems import line
from settings.stack import Settings

Problems = Iterator[tuple[str, str]]


class Given(NamedTuple):
    """A PEM text of the config, and its path.

    is_authorities: whether it lists CAs, of which one valid is enough; else it is a chain, all of which must be valid
    """

    path: str
    pem: str
    is_authorities: bool = False


def given(settings: Settings) -> Iterator[Given]:
    """Yield all certificates of the config."""
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
    """Yield the path of each certificate that is expired or not valid yet, and a message."""
    for path, pem, is_authorities in given(settings):
        found = [list(date_problems([each])) for each in read(pem)]
        if not is_authorities or all(found):
            yield from ((path, problem) for problem in chain(*found))


def warnings(settings: Settings) -> tuple[str, ...]:
    """Return a line for each certificate of the config that is expired, not valid yet, or trusted but not a CA's."""
    return tuple(line(path, problem) for path, problem in (*problems(settings), *_pinned(settings)))


def _pinned(settings: Settings) -> Problems:
    for path, pem, is_authorities in given(settings):
        for name in authorities.pinned(pem) if is_authorities else ():
            yield path, f"{name} is not the certificate of a CA: Envoy trusts it, and each one that its key signs"
